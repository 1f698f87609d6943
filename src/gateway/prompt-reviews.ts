import { digestJson, err, ok, type Result, type UpstreamName } from '../base/index.ts';
import type { ReviewedUpstream, ReviewRequest } from './admin/contract.ts';
import type { PinnedCatalogue } from './catalogue.ts';
import type { Pins } from './pins.ts';
import { fieldChanges, suspicionsOf, type ToolNames } from './review/index.ts';

/** Why a review was not taken; the sentence is for the reviewer. */
export type ReviewRefusal = { readonly status: 404 | 409; readonly message: string };

type Prompt = ReviewedUpstream['prompts'][number];

/** The prompts of an upstream as reviewers see them. */
export function toReviewedPrompts(
  name: UpstreamName,
  names: ToolNames,
  { prompts, pins }: PinnedCatalogue,
): Prompt[] {
  const reviewed = prompts.reviewed(name);
  const { prompts: seen, wasAsked } = prompts.seen(name);
  const rejected = pins(name).rejectedPrompts ?? {};
  return [...new Set([...reviewed.keys(), ...seen.keys()])].map((prompt) => {
    const pin = reviewed.get(prompt);
    const present = seen.get(prompt) ?? (wasAsked ? undefined : pin);
    const shown = present ?? pin;
    const collision = prompts.collision(name, prompt);
    const isRejected =
      Object.hasOwn(rejected, prompt) && (present === undefined || rejected[prompt] === present.digest);
    const isAsReviewed = present?.digest === pin?.digest && prompts.review(name, prompt) === 'pinned';
    return {
      name: prompt,
      state: stateOf({ collides: collision !== undefined, isRejected, isAsReviewed, pin, present }),
      ...(present === undefined ? {} : { digest: present.digest }),
      ...(pin === undefined ? {} : { reviewedDigest: pin.digest }),
      definition: shown?.definition ?? {},
      changes:
        pin === undefined || present === undefined
          ? []
          : fieldChanges(pin.definition, present.definition).map((change) => ({ ...change })),
      suspicions: shown === undefined ? [] : [...suspicionsOf(shown.definition, name, names)],
      ...(collision === undefined ? {} : { collidesWith: `${collision.upstream}/${collision.tool}` }),
    };
  });
}

function stateOf(about: {
  readonly collides: boolean;
  readonly isRejected: boolean;
  readonly isAsReviewed: boolean;
  readonly pin: object | undefined;
  readonly present: object | undefined;
}): Prompt['state'] {
  if (about.collides) return 'collides';
  if (about.isRejected) return 'rejected';
  if (about.pin === undefined) return 'new';
  if (about.present === undefined) return 'removed';
  return about.isAsReviewed ? 'reviewed' : 'changed';
}

type PromptPart = Pick<Pins, 'prompts' | 'rejectedPrompts'>;

/** The pinned prompts after a review. A verdict is about the definition with that digest and about no other. */
export function nextPrompts(
  name: UpstreamName,
  before: Pins,
  request: ReviewRequest,
  { prompts }: PinnedCatalogue,
): Result<PromptPart, ReviewRefusal> {
  const pinned = new Map((before.prompts ?? []).map((prompt) => [prompt.name, prompt]));
  const rejected = new Map(Object.entries(before.rejectedPrompts ?? {}));
  const { prompts: seen, wasAsked } = prompts.seen(name);
  for (const { prompt, digest, verdict } of request.prompts ?? []) {
    const present = seen.get(prompt) ?? (wasAsked ? undefined : prompts.reviewed(name).get(prompt));
    if (present === undefined && !pinned.has(prompt)) return refuse(404, `${name} has no prompt "${prompt}"`);
    if (present?.digest !== (digest ?? undefined))
      return refuse(409, `the prompt "${prompt}" is not what was reviewed any more; look at it again`);
    if (verdict === 'reject') {
      rejected.set(prompt, present?.digest ?? '');
      continue;
    }
    const collision = prompts.collision(name, prompt);
    if (collision !== undefined) {
      const other = `${collision.upstream}/${collision.tool}`;
      return refuse(
        409,
        `the prompt "${prompt}" looks like ${other} and cannot be approved; it must be renamed`,
      );
    }
    rejected.delete(prompt);
    if (present === undefined) pinned.delete(prompt);
    else if (digestJson(present.definition) !== present.digest)
      return refuse(409, `${name} has several definitions of the prompt "${prompt}"; it cannot be approved`);
    else pinned.set(prompt, { ...present.definition, name: prompt });
  }
  return ok({
    ...(pinned.size === 0 ? {} : { prompts: [...pinned.values()] }),
    ...(rejected.size === 0 ? {} : { rejectedPrompts: Object.fromEntries(rejected) }),
  });
}

function refuse(status: ReviewRefusal['status'], message: string): Result<never, ReviewRefusal> {
  return err({ status, message });
}
