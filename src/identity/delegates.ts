import type { StandardCapability } from './capability-words.ts';

/**
 * What a task that only points at instructions may need: kinds of action whose addressees a policy can check one by
 * one, and changes that stay with the owner. What removes, opens access, publishes, buys or runs is always said.
 */
export const DELEGATED_CAPABILITIES: readonly StandardCapability[] = [
  'send-message',
  'schedule',
  'edit-files',
  'edit-records',
];

/** Not a question, and not what is forbidden. */
const ASKED = "(?<!\\b(?:not|n['’]t|never|how|why|what|i|we) )";
const DO =
  '(?:do|follow|obey|execute|perform|complete|handle|process|finish|carry out|act on|work through|go through|take care of)';
const ALL = '(?:(?:all|any|each|every|everything|of) )*';
const WHOSE = '(?:(?:the|these|those|its|their|his|her|my|our) )?';
/** Up to two words between: `the open action items`. */
const KIND = '(?:(?!following |about |not |with |on |in |if )[a-z-]+ ){0,2}?';
const WORK = '(?:actions?|action items?|tasks?|to-?dos?|todo items?|steps?|requests?|errands|chores|items?)';
const STATED =
  '(?:(?:that (?:are|is)|which (?:are|is)|as) )?(?:specified|listed|described|given|mentioned|contained|written|outlined|requested|noted|assigned)?';
const WHERE = '(?:in|from|of|on|by|inside|within|under)';

const INSTRUCTIONS = new RegExp(
  `${ASKED}\\b${DO} ${ALL}${WHOSE}${KIND}(?:instructions?|directions|guidelines)\\b`,
);
const LISTED = new RegExp(`${ASKED}\\b${DO} ${ALL}${WHOSE}${KIND}${WORK} ${STATED} ?${WHERE} `);
const SAID =
  /(?<!\b(?:not|n['’]t|never|how|why|i|we) )\b(?:do|follow) (?:exactly |just )?(?:what|whatever|everything|as) (?:[\w'’.@-]+ ){1,6}?(?:says?|said|asks?|asked|tells?|told|wants?|wanted|requests?|requested|instructs?|instructed|specif(?:y|ies|ied)|requires?)\b/;

/** Does a task, in lower case, leave it to a text elsewhere what is to be done? English, as the words of groups are. */
export function delegates(text: string): boolean {
  const plain = text.replace(/\s+/g, ' ');
  return [INSTRUCTIONS, LISTED, SAID].some((pattern) => pattern.test(plain));
}
