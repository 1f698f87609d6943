/**
 * The groups of tools that have a name everywhere, with the words that speak of them: in a task's text, where a
 * client cannot declare what it needs, and in a tool's name, where no reviewer has said it. Words are whole,
 * lower-case and English; an operator's own groups are declared, never guessed. docs/policy.md lists them.
 */
export const CAPABILITY_WORDS = {
  pay: [
    'pay payment transfer refund invoice bill wire money salary rent reimburse',
    'pay payment transfer refund payout charge money transaction wire invoice',
  ],
  buy: ['buy order purchase cart checkout', 'buy order purchase cart checkout subscribe'],
  book: [
    'book booking reserve reservation flight hotel restaurant',
    'book booking reserve reservation ticketing',
  ],
  publish: [
    'publish post deploy release merge push announce website',
    'publish deploy release merge push webpage site page pull',
  ],
  'send-message': [
    'email mail send sends reply replies respond forward message messages notify tell inform dm slack invite',
    'send email mail reply forward message notify post dm broadcast tweet comment',
  ],
  'manage-access': [
    'share unshare permission permissions access password role grant revoke member members',
    'share unshare permission permissions access password role grant revoke member members user users collaborator password key token secret invite',
  ],
  schedule: [
    'schedule reschedule calendar meeting appointment event events remind reminder participants',
    'schedule reschedule calendar meeting appointment event reminder',
  ],
  delete: [
    'delete remove cancel clear erase drop purge',
    'delete remove cancel clear erase drop purge trash destroy',
  ],
  'edit-files': [
    'file files document folder write save append upload edit draft',
    'file files document doc folder directory upload append note notes sheet spreadsheet',
  ],
  'run-code': [
    'run execute script command shell query sql code',
    'run exec execute eval script command shell bash query sql code terminal',
  ],
  'fetch-web': [
    'website webpage web page url link browse visit download search online http https www',
    'fetch browse browser navigate crawl scrape http url web webpage website download request visit',
  ],
  'edit-records': [
    'create update change add set rename move assign close label tag',
    'create update change add set rename move assign close label tag edit modify patch insert upsert record issue ticket task',
  ],
} as const satisfies Record<string, readonly [task: string, tool: string]>;

/** A group of tools that has a name everywhere. */
export type StandardCapability = keyof typeof CAPABILITY_WORDS;

export const STANDARD_CAPABILITIES = Object.keys(CAPABILITY_WORDS) as readonly StandardCapability[];

type Words = ReadonlyMap<StandardCapability, ReadonlySet<string>>;

const wordsOf = (column: 0 | 1): Words =>
  new Map(STANDARD_CAPABILITIES.map((name) => [name, new Set(CAPABILITY_WORDS[name][column].split(' '))]));

/** Words of a task's text, by group. */
export const TASK_WORDS = wordsOf(0);

/** Words of tools' names, by group; the first group that fits is the tool's. */
export const TOOL_WORDS = wordsOf(1);
