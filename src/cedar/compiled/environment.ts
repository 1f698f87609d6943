import type { EntityUid, RecordValue, Value } from './value.ts';

/** An entity as the request passes it. */
export type Entity = {
  readonly attributes: ReadonlyMap<string, Value>;
  readonly tags: ReadonlyMap<string, Value>;
  /** Keys of all that it is in, directly or through another; not its own. */
  readonly ancestors: ReadonlySet<string>;
};

/** What expressions are evaluated in: a request and the entities that exist. */
export type Environment = {
  readonly principal: EntityUid;
  readonly action: EntityUid;
  readonly resource: EntityUid;
  readonly context: RecordValue;
  /** By key. */
  readonly entities: ReadonlyMap<string, Entity>;
};
