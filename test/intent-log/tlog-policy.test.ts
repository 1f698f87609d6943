import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  createCosigner,
  formatTlogProof,
  inclusionProof,
  leafHash,
  parseNote,
  parseTlogPolicy,
  parseTlogProof,
  type TlogPolicy,
  verifyTlogProof,
} from '../../src/intent-log/index.ts';
import { fixedSigner, LogInMemory } from '../support/log-in-memory.ts';
import { newRun, runOpen } from '../support/records.ts';

const ORIGIN = 'agents.example.org/log';
const witnesses = ['x1', 'x2', 'x3', 'y1'].map((name) => ({
  name,
  cosigner: createCosigner(`${name}.example.net`, generateKeyPairSync('ed25519').privateKey),
}));
const signer = fixedSigner(ORIGIN);
const LINES = [
  '# who is believed',
  `log ${signer.verifierKey}`,
  ...witnesses.map(
    ({ name, cosigner }) => `witness\t${name}  ${cosigner.verifierKey} https://${name}.example.net/`,
  ),
  'group X 2 x1 x2 x3',
  'group both all X y1',
];

function policy(...lines: string[]): TlogPolicy {
  const parsed = parseTlogPolicy(`${lines.join('\n')}\n`);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function cosigned(note: string, names: readonly string[]): string {
  const text = parseNote(note)?.text ?? '';
  const chosen = witnesses.filter(({ name }) => names.includes(name));
  return note + chosen.map(({ cosigner }) => cosigner.cosign(text, 1_772_366_400)).join('');
}

describe('a policy', () => {
  const log = new LogInMemory(ORIGIN, signer);
  log.append(runOpen(newRun()));
  const note = log.sign();

  it.each([
    [[], false],
    [['x1', 'y1'], false],
    [['x1', 'x2'], false],
    [['x1', 'x2', 'x3'], false],
    [['x1', 'x3', 'y1'], true],
    [['x1', 'x2', 'x3', 'y1'], true],
  ] as const)('asks for its quorum: %j gives %j', (names, isWitnessed) => {
    const parsed = parseNote(cosigned(note, names));
    expect(parsed && policy(...LINES, 'quorum both').isWitnessed(parsed)).toBe(isWitnessed);
  });

  it('counts a witness once, however often it signed, and no signature over another text', () => {
    const twice = parseNote(cosigned(cosigned(note, ['x1']), ['x1', 'y1']));
    const other = new LogInMemory(ORIGIN, signer);
    const foreign = parseNote(note + cosigned(other.sign(), ['x2', 'y1']).split('\n').slice(5).join('\n'));
    const both = policy(...LINES, 'quorum both');
    expect(twice && both.isWitnessed(twice)).toBe(false);
    expect(foreign && both.isWitnessed(foreign)).toBe(false);
  });

  it('may ask for no witness', () => {
    expect(policy(LINES[1] ?? '', 'quorum none')).toMatchObject({ needsNone: true });
  });

  it.each([
    ['no quorum', LINES, 'one quorum line'],
    ['two quorums', [...LINES, 'quorum X', 'quorum X'], 'line 10: there must be only one'],
    ['an unknown name', [...LINES, 'quorum Z'], 'line 9'],
    ['a group of later names', ['group g any x1', ...LINES, 'quorum g'], 'line 1'],
    ['a threshold above its members', [...LINES, 'group g 2 both', 'quorum g'], 'line 9'],
    ['a threshold of zero', [...LINES, 'group g 0 both', 'quorum g'], 'line 9'],
    ['a name used twice as a member', [...LINES, 'group g any x1', 'quorum g'], 'only once'],
    ['a name defined twice', [...LINES, 'group X any both', 'quorum X'], 'taken'],
    ['the reserved name', [...LINES, 'group none any both', 'quorum none'], 'taken'],
    ['a log key as a witness', [`witness w ${signer.verifierKey}`, 'quorum w'], 'line 1'],
    ['a witness twice', [...LINES, `witness z ${witnesses[0]?.cosigner.verifierKey}`, 'quorum z'], 'twice'],
    ['an unknown word', [...LINES, 'allow all'], 'line 9'],
    ['a carriage return', [`${LINES[1]}\r`, 'quorum none'], 'control'],
  ])('is refused with %s', (_, lines, problem) => {
    const parsed = parseTlogPolicy(lines.join('\n'));
    expect(parsed.ok ? 'accepted' : parsed.error).toContain(problem);
  });
});

describe('a proof file', () => {
  const log = new LogInMemory(ORIGIN, signer);
  for (let i = 0; i < 11; i++) log.append(runOpen(newRun()));
  const leaves = log.leaves();
  const note = cosigned(log.sign(), ['x1', 'x2', 'y1']);
  const text = formatTlogProof({ index: 6, path: inclusionProof(6, leaves), checkpoint: note });
  const believed = policy(...LINES, 'quorum both');
  const check = (proofText: string, leaf = leaves[6] ?? '', given = believed): string => {
    const proof = parseTlogProof(proofText);
    if (proof === undefined) return 'malformed';
    const checked = verifyTlogProof(leaf, proof, given);
    return checked.ok ? `size ${checked.value.size}` : checked.error;
  };

  it('proves a record to whoever has a policy, with and without extra data', () => {
    expect(check(text)).toBe('size 11');
    expect(check(text.replace('\nindex', '\nextra AAAA\nindex'))).toBe('size 11');
  });

  it.each([
    ['another record', text, leafHash(Buffer.from('forged')), 'not_in_tree'],
    ['another index', text.replace('index 6', 'index 7'), undefined, 'not_in_tree'],
    ['a path without its last step', text.replace(/\n[^\n]+\n\n/, '\n\n'), undefined, 'not_in_tree'],
    ['another size', text.replace('\n11\n', '\n12\n'), undefined, 'bad_signature'],
    ['another origin', text.replaceAll(ORIGIN, 'other.example.org/log'), undefined, 'unknown_log'],
    ['too few witnesses', text.replace(/— y1[^\n]*\n/, ''), undefined, 'not_witnessed'],
    ['another header', text.replace('@v1', '@v2'), undefined, 'malformed'],
    ['an index with a leading zero', text.replace('index 6', 'index 06'), undefined, 'malformed'],
    ['a hash that is not base64', text.replace(/index 6\n../, 'index 6\n!!'), undefined, 'malformed'],
    ['nothing', '', undefined, 'malformed'],
  ])('proves nothing with %s', (_, changed, leaf, defect) => {
    expect(check(changed, leaf)).toBe(defect);
  });
});
