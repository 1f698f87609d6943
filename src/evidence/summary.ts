import { createHash } from 'node:crypto';
import type { RunId } from '../base/index.ts';
import { buildCausalTree, type CausalCall, type CausalRun, type LogRecord } from '../intent-log/index.ts';
import { type Html, html, join } from './html.ts';

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.run { border-left: 3px solid #57606a; padding-left: 1rem; margin: 1rem 0 }
.call { border-top: 1px solid #d0d7de; padding: .5rem 0 }
.permit { color: #116329 } .stopped { color: #a40e26 }
.meta { color: #57606a; font-size: .85rem; overflow-wrap: anywhere }
.said { display: block; unicode-bidi: isolate; white-space: pre-wrap; overflow: auto; overflow-wrap: anywhere; max-height: 20rem; margin: .25rem 0; padding: .5rem; border: 1px dashed #8c959f; background: #f6f8fa; font: 13px/1.4 ui-monospace, monospace }
`;

/** What a part of a call said. */
type Said = { readonly call: string; readonly part: string; readonly text: string };

const LONGEST = 20_000;

/**
 * The records as a page for people: no script, no link, nothing loaded; text from agents and servers only as text,
 * in boxes that say whose it is. The same records make the same page, so a verifier can tell that it says no more.
 */
export function renderSummary(
  root: RunId,
  records: readonly LogRecord[],
  definitions: ReadonlyMap<string, string>,
  content: readonly Said[],
): string {
  const said = new Map(content.map((part) => [`${part.call} ${part.part}`, part.text]));
  const tree = buildCausalTree(records, root);
  const style = createHash('sha256').update(STYLE).digest('base64');
  const policy = `default-src 'none'; style-src 'sha256-${style}'; base-uri 'none'; form-action 'none'`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="referrer" content="no-referrer">
<title>Evidence about run ${root}</title>
<style>${STYLE}</style>
</head>
<body>
${join([intro(root, records), tree === undefined ? html`` : renderRun(tree.root, said), inForce(records, definitions)]).markup}
</body>
</html>
`;
}

function intro(root: RunId, records: readonly LogRecord[]): Html {
  const [first, last] = [records[0], records.at(-1)];
  const span = first === undefined || last === undefined ? '' : `${first.at} to ${last.at}`;
  const erasures = records.filter((record) => record.type === 'erasure');
  return html`<h1>Evidence about run ${root}</h1>
<p>${records.length} records, ${span}. This page is for reading. That it says what the records say, and that the records are those of the log, is checked by <code>sallyport log verify</code>. Dashed boxes hold words of agents and servers: believe them as far as you believe those.</p>
${join(erasures.map((record) => html`<p class="stopped">Content of ${record.runs.join(', ')} was erased by record ${record.idx}: ${record.reason} (${record.by})</p>`))}`;
}

function renderRun({ opened, closed, steps, at }: CausalRun, said: ReadonlyMap<string, string>): Html {
  const end =
    closed === undefined
      ? html`<p class="meta">not over yet</p>`
      : html`<p class="meta">${closed.state} by ${closed.by}: ${closed.reason}, ${closed.at}</p>`;
  return html`<section class="run">
<h2>Run ${opened.run}</h2>
<p>Agent <b><bdi>${opened.agent}</bdi></b> for <bdi>${opened.purpose}</bdi>; owner <bdi>${opened.owner.name}</bdi> (<bdi>${opened.owner.contact}</bdi>)</p>
<p class="meta">issued ${at}, attested by ${opened.evidence.attestor} (evidence ${opened.evidence.digest}), ${opened.spiffeId}, key ${opened.key}${opened.parent === undefined ? '' : `, delegated by ${opened.parent}`}</p>
${join(steps.map((step) => (step.kind === 'run' ? renderRun(step, said) : renderCall(step, said))))}
${end}
</section>
`;
}

function renderCall(call: CausalCall, said: ReadonlyMap<string, string>): Html {
  const { subject, effect, policies, code, reason, detail, outcome, labels, provenance } = call;
  const name = subject === undefined ? '(nothing)' : `${subject.upstream}/${subject.tool ?? subject.method}`;
  const verdict =
    effect === 'permit' ? html`<b class="permit">permitted</b>` : html`<b class="stopped">${effect}</b>`;
  const why = [code, policies.length > 0 ? `by ${policies.join(', ')}` : undefined, reason, detail];
  const ended = outcome === undefined ? '' : `${outcome.status}, ${(outcome.micros / 1000).toFixed(1)} ms`;
  const credential = outcome?.credential === undefined ? '' : `, credential ${outcome.credential}`;
  const end = outcome?.detail === undefined ? '' : `: ${outcome.detail}`;
  return html`<div class="call">
<p>${verdict} <bdi>${name}</bdi> <bdi>${why.filter((part) => part !== undefined).join('; ')}</bdi></p>
<p class="meta">record ${call.idx}, ${call.at}, call ${call.call}${labels === undefined ? '' : `, labels ${labels.join(' ')}`}</p>
${box('asked', said.get(`${call.call} args`))}${provenance === undefined ? html`` : box('values seen before', JSON.stringify(provenance))}
<p class="meta">${ended}${credential}${end}</p>
${box('answered', said.get(`${call.call} result`))}</div>
`;
}

function box(who: string, text: string | undefined): Html {
  if (text === undefined) return html``;
  const cut =
    text.length > LONGEST
      ? `${text.slice(0, LONGEST)}… (${text.length} characters; all of it is in content.jsonl)`
      : text;
  return html`<span class="meta">${who}</span><code class="said">${cut}</code>`;
}

function inForce(records: readonly LogRecord[], definitions: ReadonlyMap<string, string>): Html {
  const loads = records.filter((record) => record.type === 'policyset.load');
  const pins = records.filter((record) => record.type === 'toolset.pin');
  return html`<h2>In force</h2>
${join(loads.map((load) => html`<h3>Policy set ${load.revision}, record ${load.idx}, ${load.at}</h3>${join(policiesOf(definitions.get(load.digest ?? '')))}`))}
${join(pins.map((pin) => html`<h3>Tools of <bdi>${pin.upstream}</bdi>, reviewed by <bdi>${pin.by ?? 'nobody'}</bdi>, record ${pin.idx}</h3>${join(Object.entries(pin.tools).flatMap(([tool, digest]) => definitionOf(tool, definitions.get(String(digest)))))}`))}
`;
}

/** The text is `[catalogue, [[id, policy], …]]`; anything else is shown as it is. */
function policiesOf(source: string | undefined): Html[] {
  if (source === undefined) return [html`<p class="meta">the text is not in the bundle</p>`];
  try {
    const [, policies] = JSON.parse(source) as [string, [string, string][]];
    return policies.map(([id, text]) => box(String(id), String(text)));
  } catch {
    return [box('text', source)];
  }
}

function definitionOf(tool: string, text: string | undefined): Html[] {
  return text === undefined ? [] : [box(tool, text)];
}
