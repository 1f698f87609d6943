import { readFile, writeFile } from 'node:fs/promises';
import { countPassed, findLosses, type Loss } from './compare.ts';
import { type Check, REVISIONS, type Revision } from './referee.ts';

/** The ways to the server that are compared; `direct` is the measure. */
export const WAYS = ['direct', 'http', 'stdio'] as const;
export type Way = (typeof WAYS)[number];

/** What the suite said of each way, for each revision. */
export type Results = Readonly<Record<Revision, Readonly<Record<Way, readonly Check[]>>>>;

const TITLES: Readonly<Record<Way, string>> = {
  direct: 'direct, HTTP',
  http: 'through the gateway, HTTP upstream',
  stdio: 'through the gateway, stdio upstream',
};
const EXTENSION = /^tasks-/;
const BEGIN = { servers: 'written by', clients: 'of clients, written by' } as const;
const END = '<!-- end -->';

/** Everything that a way through the gateway lost. */
export function lossesOf(results: Results): readonly (Loss & { revision: Revision; way: Way })[] {
  return REVISIONS.flatMap((revision) =>
    WAYS.flatMap((way) =>
      findLosses(results[revision].direct, results[revision][way]).map((loss) => ({
        ...loss,
        revision,
        way,
      })),
    ),
  );
}

/** The results as a Markdown table, with every lost check below it. */
export function toMarkdown(results: Results): string {
  const head = `| way to the server | ${REVISIONS.join(' | ')} |\n| --- | ${REVISIONS.map(() => '---').join(' | ')} |`;
  const rows = WAYS.map((way) => {
    const cells = REVISIONS.map((revision) => toCell(results[revision].direct, results[revision][way]));
    return `| ${TITLES[way]} | ${cells.join(' | ')} |`;
  });
  const losses = lossesOf(results).map(
    ({ revision, way, scenario, id, direct, through, instead }) =>
      `- ${revision}, ${way}: \`${scenario}\` \`${id}\` passed ${through} of ${direct} times; ${instead}`,
  );
  const lost = losses.length === 0 ? 'No check is lost.' : losses.join('\n');
  return `${head}\n${rows.join('\n')}\n\n${lost}`;
}

/** Passed checks of the specification's own scenarios, and those of extensions beside them. */
function toCell(direct: readonly Check[], way: readonly Check[]): string {
  const lost = findLosses(direct, way).reduce((sum, loss) => sum + loss.direct - loss.through, 0);
  const own = (checks: readonly Check[]) => checks.filter(({ scenario }) => !EXTENSION.test(scenario));
  const all = countPassed(direct).occurrences;
  const extension = all - countPassed(own(direct)).occurrences;
  const note = extension === 0 ? '' : ` (${extension} of the tasks extension)`;
  return `${all - lost} of ${all}${note}`;
}

/** Replaces a generated part of a document. Throws when its markers are missing. */
export async function writeSection(file: URL, part: keyof typeof BEGIN, text: string): Promise<void> {
  const marker = `<!-- begin: ${BEGIN[part]} npm run test:conformance -->`;
  const document = await readFile(file, 'utf8');
  const begin = document.indexOf(marker);
  const end = document.indexOf(END, begin);
  if (begin === -1 || end === -1) throw new Error(`${file.pathname} lacks the markers ${marker} and ${END}`);
  await writeFile(file, `${document.slice(0, begin)}${marker}\n\n${text}\n\n${document.slice(end)}`);
}
