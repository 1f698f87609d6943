import { describe, expect, it } from 'vitest';
import { type Cedar, loadCedar } from '../../src/cedar/cedar-wasm.ts';
import { createPdp, formatProblem } from '../../src/cedar/index.ts';
import { parsePolicySet, policyError } from '../../src/cedar/policy-set.ts';
import type { PolicySource, Problem } from '../../src/cedar/policy-text.ts';
import { CATALOGUE, catalogueOf, outcome, PERMIT_ALL, pdpFor, toolCall } from '../support/cedar-fixtures.ts';

const parse = (...texts: string[]) => {
  const sources = texts.map((text, i): PolicySource => ({ file: `${i}.cedar`, text }));
  return parsePolicySet(sources, CATALOGUE);
};

function problemsOf(...texts: string[]): readonly Problem[] {
  const set = parse(...texts);
  if (set.ok) throw new Error('the policies are valid');
  return set.error;
}

const TRANSFER = 'action == Sallyport::Action::"pay/transfer"';

describe('a policy set', () => {
  it('tells file, line, column and what was probably meant for a typo', () => {
    const [problem, ...others] = problemsOf(
      PERMIT_ALL,
      `// limits\n\n@id("limit")\n@reason("too much")\nforbid (principal, ${TRANSFER}, resource)\nwhen { context.args.ammount.greaterThan(decimal("1.0")) };`,
    );
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ file: '1.cedar', line: 6, column: 8, policy: 'limit' });
    expect(problem?.message).toContain('`args.ammount`');
    expect(problem?.help).toBe('did you mean `amount`?');
    expect(problem && formatProblem(problem)).toMatch(
      /^1\.cedar:6:8: policy "limit": attribute .* \(did you mean/,
    );
  });

  it('counts columns in characters of the editor, not in bytes', () => {
    const text = `@id("é😀") permit(principal, action, resource);`;
    const before =
      '@id("a") @reason("é😀é") forbid(principal, action in Sallyport::Action::"call", resource) when { ';
    const [problem] = problemsOf(`${before}context.runn.calls > 1 };`);
    expect(problem?.column).toBe(before.length + 1);
    expect(problemsOf(text)[0]?.message).toContain('@id must be');
  });

  it.each<[string, string, RegExp, RegExp]>([
    [
      'an action',
      `@id("a") permit(principal, action == Sallyport::Action::"pay/transfr", resource);`,
      /unrecognized action/,
      /"pay\/transfer"/,
    ],
    [
      'a group',
      `@id("a") permit(principal, action in Sallyport::Action::"readonly", resource);`,
      /unrecognized action/,
      /"readOnly"/,
    ],
    [
      'a label',
      `@id("a") permit(principal, action, resource) when { context.run.labels.contains(Sallyport::Label::"privat") };`,
      /not declared/,
      /"private"/,
    ],
    [
      'a purpose',
      `@id("a") permit(principal, action, resource) when { context.intent.purpose == Sallyport::Purpose::"triage" };`,
      /not declared/,
      /"triage-inbox"/,
    ],
    [
      'an enum value',
      `@id("a") permit(principal, ${TRANSFER}, resource) when { context.args.currency == Sallyport::Arg_pay__transfer__currency::"EURO" };`,
      /not declared/,
      /"EUR"/,
    ],
    [
      'an entity type',
      `@id("a") permit(principal in Sallyport::Agnet::"x", action, resource);`,
      /unrecognized entity type/,
      /Sallyport::Agent/,
    ],
    [
      'an optional argument read without a guard',
      `@id("a") permit(principal, ${TRANSFER}, resource) when { context.args.memo == "x" };`,
      /optional attribute/,
      /has memo/,
    ],
    [
      'a type',
      `@id("a") permit(principal, action, resource) when { context.run.calls == "1" };`,
      /not compatible/,
      /compatible types/,
    ],
    [
      'an attribute of an owner',
      `@id("a") permit(principal, action, resource) when { principal.owner.active };`,
      /not found/,
      /./,
    ],
  ])('refuses a mistake in %s, with help', (_name, text, message, help) => {
    const problems = problemsOf(text);
    expect(problems.some((one) => message.test(one.message) && help.test(one.help ?? one.message))).toBe(
      true,
    );
  });

  it('takes a warning for a mistake: a policy that can never apply', () => {
    const [problem] = problemsOf(`@id("a") permit(principal is Sallyport::Tool, action, resource);`);
    expect(problem?.message).toMatch(/impossible|applicable/);
  });

  it('reports every problem of every file at once, in order', () => {
    const problems = problemsOf(
      `@id("a") permit(principal, action, resource) when { context.nope };\npermit(principal, action, resource);`,
      `@id("a") permit(principal, action, resource);\n@id("b") permit(principal, action, ;`,
    );
    expect(problems.map(({ file, line }) => `${file}:${line}`)).toEqual([
      '0.cedar:1',
      '0.cedar:2',
      '1.cedar:1',
      '1.cedar:2',
    ]);
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringContaining('`nope`'),
      'needs an @id("...")',
      'the @id is taken by 0.cedar:1',
      expect.stringContaining('unexpected token'),
    ]);
    expect(policyError(problems).message.split('\n')).toHaveLength(5);
    expect(policyError(problems).code).toBe('ERR_POLICY_INVALID');
  });

  it.each<[string, RegExp]>([
    ['permit(principal, action, resource);', /needs an @id/],
    ['@id("-x") permit(principal, action, resource);', /@id must be/],
    ['@id("__proto__") permit(principal, action, resource);', /@id must be/],
    ['@id("a") forbid(principal, action, resource);', /needs a @reason/],
    ['@id("a") @reason(" ") forbid(principal, action, resource);', /needs a @reason/],
    ['@id("a") @severity("huge") permit(principal, action, resource);', /@severity must be/],
    ['@id("a") @obligation("ask") @reason("r") forbid(principal, action, resource);', /@obligation must be/],
    ['@id("a") @obligation("require_approval") permit(principal, action, resource);', /@obligation must be/],
    ['@id("a") permit(principal == ?principal, action, resource);', /template/],
    ['@id("a") permit(principal, action, resource)', /unexpected end/],
    ['@id("a") permit(principal, action, resource) when { context.pop == "x };', /invalid token/],
    ['@id("a")', /unexpected end/],
    ['this is not Cedar;', /./],
    [';', /./],
  ])('refuses %s', (text, message) => {
    expect(
      problemsOf(text)
        .map((problem) => problem.message)
        .join(),
    ).toMatch(message);
  });

  it.each<[string, string]>([
    ['brackets', `${'('.repeat(10_000)}true${')'.repeat(10_000)}`],
    ['sets', `${'['.repeat(60)}1${']'.repeat(60)} == [1]`],
    [
      'brackets in a comment that a carriage return ends',
      `true // x\r && ${'('.repeat(200)}true${')'.repeat(200)}`,
    ],
    ['operators', Array(5_000).fill('context.intent.hasTask').join(' && ')],
    ['members', `context${'.run'.repeat(3_000)} == 1`],
    ['branches', `${'if context.intent.hasTask then '.repeat(3_000)}true${' else false'.repeat(3_000)}`],
    ['clauses', `true }${' when { context.intent.hasTask }'.repeat(3_000)} when { true`],
  ])('refuses %s that nest so deep that the engine would trap', (_name, condition) => {
    const problems = problemsOf(
      `${PERMIT_ALL}@id("deep") permit(principal, action, resource) when { ${condition} };`,
    );
    expect(problems.map((one) => one.message).join()).toMatch(/nest too deeply|too complex/);
  });

  it('still works after policies that the parser could not survive', () => {
    problemsOf(
      `@id("deep") permit(principal, action, resource) when { ${'-'.repeat(10)}1 == 1 ${'&& true'.repeat(20_000)} };`,
    );
    expect(parse(PERMIT_ALL).ok).toBe(true);
  });

  it('takes what is deep but not too deep, and decides on it', () => {
    const chain = Array(45).fill('(context.run.calls < 5)').join(' && ');
    const nested = `${'('.repeat(40)}true${')'.repeat(40)}`;
    const pdp = pdpFor(`@id("a") permit(principal, action, resource) when { ${chain} } when { ${nested} };`);
    expect(outcome(pdp.decide(toolCall('mail/search', { query: 'x' })))).toBe('permit');
    const set = parse(
      `@id("a") permit(principal, action, resource) when { [${'"x", '.repeat(20_000)}"dpop"].contains(context.pop) };`,
    );
    expect(set.ok).toBe(true);
  });

  it('refuses a file that is too large', () => {
    expect(problemsOf(`// ${'x'.repeat(300_000)}`)[0]?.message).toContain('larger than 256 KiB');
  });

  it('finds scopes behind annotations, comments and strings that look like them', () => {
    const pdp = pdpFor(
      `@id("a") @permit("x(") @note("forbid (") // permit(principal, action == Nope, resource)
       permit // (
       (principal, action, // )
        resource) when { "permit(" like "permit(" && context.pop != "//" };`,
    );
    expect(outcome(pdp.decide(toolCall('mail/search', { query: 'x' })))).toBe('permit');
  });

  it('is valid without any policy, says so, and then refuses everything', () => {
    const set = parse();
    expect(set.ok && set.value.warnings).toEqual(['there are no policies, so every request is refused']);
    expect(parse('// nothing yet').ok).toBe(true);
    const pdp = createPdp({ catalogue: CATALOGUE, policies: [] });
    expect(outcome(pdp.decide(toolCall('mail/search', { query: 'x' })))).toBe('not_permitted');
  });

  it('has a revision that changes with policies, tools and labels, and with nothing else', () => {
    const base = pdpFor(PERMIT_ALL).revision;
    expect(pdpFor(PERMIT_ALL).revision).toBe(base);
    expect(
      createPdp({ catalogue: CATALOGUE, policies: [{ file: 'other', text: `// x\n${PERMIT_ALL}` }] })
        .revision,
    ).toBe(base);
    expect(pdpFor('@id("all") permit(principal, action, resource) when { true };').revision).not.toBe(base);
    const labelled = catalogueOf({ mail: [] });
    expect(pdpFor(PERMIT_ALL, labelled).revision).not.toBe(base);
    expect(pdpFor(PERMIT_ALL, { ...labelled, labels: ['x'] }).revision).not.toBe(
      pdpFor(PERMIT_ALL, labelled).revision,
    );
  });

  it('blames the catalogue, not the policies, when no schema can be made of it', () => {
    const broken = (): Cedar => ({
      ...loadCedar(),
      validate: () => ({ type: 'failure', errors: [], warnings: [] }),
    });
    expect(() => parsePolicySet([], CATALOGUE, broken)).toThrow(
      expect.objectContaining({ code: 'ERR_CATALOGUE_INVALID' }),
    );
  });
});
