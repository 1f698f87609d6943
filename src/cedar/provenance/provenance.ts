import type { JsonObject, JsonValue } from '../../base/index.ts';
import type { ToolAnnotations } from '../annotations.ts';
import type { ProvenanceLevel } from './level.ts';
import type { Turns } from './pace.ts';

/** The intent a run was issued with, as far as it names values. */
export type ObservedIntent = {
  /** What the user asked for, word for word. */
  readonly text?: string;
  /** Who may receive: mail addresses, accounts, URLs, user names. */
  readonly addressees?: readonly string[];
  /** What the run may work from: file names, record titles, URLs. */
  readonly sources?: readonly string[];
};

/** A call whose arguments or result are observed. */
export type ObservedCall = {
  /** The call id. */
  readonly call: string;
  readonly annotations: ToolAnnotations;
  readonly args: JsonObject;
};

/** What came back for a call. `result` is an MCP `CallToolResult`, not yet validated. */
export type ObservedResult = ObservedCall & {
  readonly result: JsonValue;
  /** Taint labels of the tool: they stay with every value of the result. */
  readonly labels: readonly string[];
};

/** Where a value was seen. */
export type Source = {
  readonly call: string;
  /** Path in the result: `2.sender`, `content`. */
  readonly field: string;
};

/** What is known of one argument. */
export type ArgumentProvenance = {
  readonly path: string;
  readonly kind: 'address' | 'identifier' | 'content';
  /** The worst over all elements; of content, the worst of the links, addresses and accounts in it. */
  readonly level: ProvenanceLevel | 'none';
  /** At most 8, of the worst element first. */
  readonly sources: readonly Source[];
  /** Labels of everything in it that was seen before, sorted. */
  readonly labels: readonly string[];
};

/** What policies read as `context.provenance`. */
export type ProvenanceFacts = {
  readonly worst: ProvenanceLevel | 'none';
  readonly address: ProvenanceLevel | 'none';
  readonly identifier: ProvenanceLevel | 'none';
  readonly content: ProvenanceLevel | 'none';
  /** Ids of the calls that values came from, sorted. */
  readonly sources: readonly string[];
  readonly labels: readonly string[];
};

export type Explanation = {
  readonly facts: ProvenanceFacts;
  readonly arguments: readonly ArgumentProvenance[];
};

/**
 * Where the values that a delegation tree has seen come from. Synchronous; one per tree. Nothing in it vouches
 * for a value by similarity: whole fields, normalised, or nothing.
 */
export interface ProvenanceIndex {
  observeIntent(intent: ObservedIntent): void;
  /** Whom the runs act for: mail addresses, account numbers, user names. */
  observePrincipal(names: readonly string[]): void;
  /** What the operator's configuration names: `@example.com` stands for every mail address of that domain. */
  observeConstants(values: readonly string[]): void;
  /** Before a permitted call goes out: what the tree writes can come back, and must not come back cleaner. */
  observeArguments(call: ObservedCall): void;
  /** The same in turns. It has to be gone through to its end before the call goes out. */
  observingArguments(call: ObservedCall): Turns<void>;
  observeResult(result: ObservedResult): void;
  /**
   * The same in turns, for a large result must not hold up others. It has to be gone through to its end before the
   * result is released; until then the rest of it is unknown.
   */
  observing(result: ObservedResult): Turns<void>;
  /**
   * Some of what the tree has seen and written was not observed here. Results vouch for nothing from then on: the
   * tree may read back what it wrote itself.
   */
  observeGap(): void;
  /**
   * Where the key arguments and the content of a call come from. Changes nothing. Addresses, links and account numbers
   * in `answers`, the answers to an upstream's questions, count as addresses.
   */
  explain(args: JsonObject, annotations: ToolAnnotations, answers?: JsonValue): Explanation;
  /** The same in turns: there is no explanation before its end. */
  explaining(args: JsonObject, annotations: ToolAnnotations, answers?: JsonValue): Turns<Explanation>;
  /** How much it holds, and whether it had to leave something out since it began. */
  readonly size: { readonly values: number; readonly bytes: number; readonly isTruncated: boolean };
}
