/**
 * The groups of tools that have a name everywhere, with the words that speak of them: in a task's text, where a
 * client cannot declare what it needs, and in a tool's name, where no reviewer has said it. Words are whole,
 * lower-case and English; an operator's own groups are declared, never guessed. docs/policy.md lists them.
 */
export const CAPABILITY_WORDS = {
  pay: [
    'pay pays paid paying payment payments transfer refund invoice bill wire money salary rent reimburse spend spent owe owes owed fee fees donate charge payout transaction transactions',
    'pay payment transfer refund payout charge money transaction wire invoice',
  ],
  buy: [
    'buy bought order orders purchase cart checkout exchange subscribe',
    'buy order purchase cart checkout subscribe',
  ],
  book: [
    'book booking reserve reservation flight hotel restaurant',
    'book booking reserve reservation ticketing',
  ],
  publish: [
    'publish post deploy release merge push announce website',
    'publish deploy release merge push webpage site page pull',
  ],
  'send-message': [
    'email mail send sends reply replies respond forward message messages notify tell inform dm slack invite tweet retweet comment broadcast',
    'send email mail reply forward message notify post dm broadcast tweet retweet comment',
  ],
  'manage-access': [
    'share unshare permission permissions access password role grant revoke member members account accounts profile login settings collaborator collaborators',
    'share unshare permission permissions access password role grant revoke member members user users collaborator password key token secret invite',
  ],
  schedule: [
    'schedule reschedule calendar meeting appointment event events remind reminder participants',
    'schedule reschedule calendar meeting appointment event reminder',
  ],
  delete: [
    'delete remove cancel clear erase drop purge trash destroy',
    'delete remove cancel clear erase drop purge trash destroy rm rmdir',
  ],
  'edit-files': [
    'file files document documents folder folders drive write save append upload edit draft note notes sheet spreadsheet directory txt doc docx pdf csv xls xlsx ppt pptx md',
    'file files document doc folder directory upload append note notes sheet spreadsheet touch cp mv mkdir',
  ],
  'run-code': [
    'run execute script command shell query sql code bash terminal',
    'run exec execute eval script command shell bash query sql code terminal',
  ],
  'fetch-web': [
    'website webpage web page url link browse visit download search online http https www fetch crawl scrape navigate',
    'fetch browse browser navigate crawl scrape http url web webpage website download request visit',
  ],
  operate: [
    'start stop restart lock unlock activate deactivate enable disable turn switch adjust engine device lights thermostat',
    'start stop restart lock unlock activate deactivate enable disable turn switch toggle adjust press pause resume',
  ],
  'edit-records': [
    'create update change add set rename move assign close label tag edit modify insert record issue issues ticket tickets',
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
