/** What an argument names: a place that data can go to, or a thing that already exists. */
export type KeyArgument = {
  /** Path of the argument from `args`, dotted: `recipient`, `event.participants`. */
  readonly path: string;
  /**
   * `address`: whoever or whatever would receive or be reached: mail address, account, URL, user name.
   * `identifier`: what the upstream itself issued: record id, file id.
   */
  readonly kind: 'address' | 'identifier';
};

/** What a reviewer says about a tool, so that policies can speak of kinds of tools rather than of names. */
export type ToolAnnotations = {
  /** `egressRead` reads, and by its arguments can carry data out: fetching a URL. */
  readonly effect: 'read' | 'write' | 'egressRead';
  /** Where a write or an egress read takes data: nowhere, the owner's own account, or to others. */
  readonly sink: 'none' | 'own' | 'external';
  /** Who wrote what comes back: the owner's own systems, or anybody. */
  readonly resultTrust: 'own' | 'thirdParty';
  /** Group of tools that a run may declare it needs: `send-mail`, `pay`. */
  readonly capability?: string;
  /** Arguments that decide who, what or where. */
  readonly keyArguments: readonly KeyArgument[];
  /** Paths of arguments that carry content: bodies, messages, file text. */
  readonly contentArguments: readonly string[];
};
