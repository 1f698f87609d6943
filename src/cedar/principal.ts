import type { Owner, Run } from '../identity/index.ts';
import { type Place, placeOf } from './scope.ts';
import { type EntityRef, entity } from './vocabulary.ts';

/** A run as Cedar sees it. */
export type Principal = {
  readonly uid: EntityRef;
  readonly parents: EntityRef[];
  readonly attributes: Readonly<Record<string, EntityRef | number | string>>;
  readonly place: Place;
};

const principals = new WeakMap<Run, Principal>();

/** The Cedar entity of a run. Throws a `TypeError` for text that Cedar must not be given. */
export function principalOf(run: Run): Principal {
  const known = principals.get(run);
  if (known !== undefined) return known;
  const { spiffeId, agent, environment, intent } = run;
  const texts = [spiffeId, agent, environment, intent.purpose, ownerId(run.owner)];
  if (!texts.every((text) => text.isWellFormed())) {
    throw new TypeError('the run has a name that is not well-formed Unicode');
  }
  const uid = entity('AgentRun', spiffeId);
  const parents = [entity('Agent', agent)];
  const principal: Principal = {
    uid,
    parents,
    attributes: {
      owner: entity('Owner', ownerId(run.owner)),
      ownerKind: run.owner.kind,
      environment: entity('Environment', environment),
      depth: run.depth,
    },
    place: placeOf(uid, parents),
  };
  principals.set(run, principal);
  return principal;
}

/** `team:<name>` or `person:<name>`. */
function ownerId(owner: Owner): string {
  return `${owner.kind}:${owner.name}`;
}
