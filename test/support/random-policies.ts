/** A small seeded generator (mulberry32): the same seed gives the same policies and requests. */
export type Random = {
  below(limit: number): number;
  pick<T>(items: readonly T[]): T;
  chance(probability: number): boolean;
};

export function createRandom(seed: number): Random {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    below: (limit) => Math.floor(next() * limit),
    pick: (items) => items[Math.floor(next() * items.length)] as (typeof items)[number],
    chance: (probability) => next() < probability,
  };
}

const LABELS = ['pii', 'private', 'secret', 'untrusted'].map((label) => `Sallyport::Label::"${label}"`);
const PURPOSES = ['monthly-payout', 'triage-inbox'].map((purpose) => `Sallyport::Purpose::"${purpose}"`);
const AGENTS = ['clerk', 'auditor', 'nobody'].map((agent) => `Sallyport::Agent::"${agent}"`);
const UPSTREAMS = ['mail', 'pay', 'files', 'none'].map((name) => `Sallyport::Upstream::"${name}"`);
const TOOL_ENTITIES = ['mail/send', 'pay/transfer', 'files/read'].map((name) => `Sallyport::Tool::"${name}"`);
const FIXED_RUN = 'Sallyport::AgentRun::"spiffe://test.example/agent/clerk/run/fixed"';
const action = (id: string): string => `Sallyport::Action::"${id}"`;
const GROUPS = ['call', 'readOnly', 'write', 'destructive', 'openWorld', 'upstream:mail', 'upstream:pay'].map(
  action,
);
const METHOD_GROUPS = ['method', 'list', 'read', 'protocol'].map(action);
const TOOLS = ['mail/search', 'mail/send', 'pay/transfer', 'files/read', 'files/delete-tree'].map(action);
const METHODS = ['method:tools/list', 'method:resources/read', 'method:prompts/get', 'method:desk/ring'].map(
  action,
);

/** Facts that every context has, read in every way Cedar has to read. */
function anywhere(random: Random): string {
  const n = random.below(4);
  return random.pick([
    `context.run.calls < ${n}`,
    `context.run.toolCalls + context.run.denials > ${n}`,
    'context.run.calls * 9007199254740993 > 5',
    'context.run.inFlight - 9223372036854775807 - context.run.depth < 0',
    `context.run.labels.contains(${random.pick(LABELS)})`,
    `context.run.labels.containsAny([${random.pick(LABELS)}, ${random.pick(LABELS)}])`,
    `context.run.labels.containsAll([${random.pick(LABELS)}, ${random.pick(LABELS)}])`,
    'context.run.labels.isEmpty()',
    `context.intent.purpose == ${random.pick(PURPOSES)}`,
    'context.intent.hasTask',
    'context["pop"] == "dpop"',
    'context.credential like "call*"',
    'context.now < datetime("2026-01-03T10:30:00.000Z")',
    'context.now.toDate() == datetime("2026-01-03")',
    'context.now.durationSince(datetime("2026-01-01")) > duration("1d")',
    `context.local.weekday <= ${n + 3} || context.local.minute > 600`,
    `principal.depth >= ${n}`,
    'principal.environment == resource.environment',
    'resource.environment == Sallyport::Environment::"prod"',
    'principal.owner == Sallyport::Owner::"team:support"',
    `principal in ${random.pick(AGENTS)}`,
    `principal is Sallyport::AgentRun in ${random.pick(AGENTS)}`,
    `principal == ${FIXED_RUN}`,
    `resource in ${random.pick(UPSTREAMS)}`,
    `resource in [${random.pick(UPSTREAMS)}, ${random.pick(UPSTREAMS)}]`,
    `action in ${random.pick([...GROUPS, ...METHOD_GROUPS])}`,
    `action == ${random.pick([...TOOLS, ...METHODS])}`,
    `[${random.pick(TOOLS)}, ${random.pick(METHODS)}].contains(action)`,
    `(if context.intent.hasTask then context.run else context.run).calls > ${n}`,
    '(if context.run.calls > 1 then principal else principal).depth > 0',
    `{"Value": context.run.depth, "Var": 1, "has": 2, ".": 3, "Record": 4}["Value"] == ${n}`,
    'context.run == context.run',
    'context.intent == {purpose: Sallyport::Purpose::"triage-inbox", hasTask: true}',
    '[context.run.calls, context.run.denials].contains(1)',
    'principal has owner && principal has depth',
    `${random.pick(TOOL_ENTITIES)} has environment`,
    `${random.pick(TOOL_ENTITIES)}.environment == Sallyport::Environment::"prod"`,
    `${random.pick(UPSTREAMS)} has environment`,
    `${FIXED_RUN}.depth > ${n}`,
    `${FIXED_RUN} has depth`,
    `${FIXED_RUN} in ${random.pick(AGENTS)}`,
    `(if context.intent.hasTask then ${random.pick(TOOL_ENTITIES)} else ${random.pick(TOOL_ENTITIES)}) == resource`,
    'context has run.labels',
    'context has "credential"',
    ...arithmetic(random),
    ...times(random),
    ...collections(random),
    ...declared(random),
    ...ofCalls(random),
  ]);
}

const LEVELS = ['none', 'request', 'ownResult', 'systemField', 'thirdPartyText', 'unknown'].map(
  (level) => `"${level}"`,
);
const ARGUMENT_KINDS = ['worst', 'address', 'identifier', 'content'];
const CAPABILITIES = ['send-message', 'pay', 'unassigned'].map((name) => `Sallyport::Capability::"${name}"`);

/** What a run has declared, and what it is to get. */
function declared(random: Random): string[] {
  return [
    'context.credentialOutlivesCall',
    'context.credentialOutlivesCall == (context.credential != "call-token" && context.credential != "none")',
    'context.intent.inferred || context.intent.strict',
    `context.intent.capabilities.contains(${random.pick(CAPABILITIES)})`,
    `context.intent.addressees.containsAny(["ada@example.org", "${random.pick(['x', 'eve@evil.example'])}"])`,
    'context.intent.sources.isEmpty()',
    'context has approval',
    'context has approval && context.approval.by like "a*"',
    'context has approval && context.approval.callHash == context.callHash',
    'context has approval.at && context.now.durationSince(context.approval.at) > duration("10m")',
    `context.run.capabilityCalls + context.run.inFlight >= ${random.below(4)}`,
  ];
}

/** What only calls of tools have. */
function ofCalls(random: Random): string[] {
  const kind = () => random.pick(ARGUMENT_KINDS);
  return [
    `context has tool && context.tool.effect == Sallyport::Effect::"${random.pick(['read', 'write', 'egressRead'])}"`,
    `context has tool && context.tool.sink == Sallyport::Sink::"${random.pick(['none', 'own', 'external'])}"`,
    `context has tool && context.tool.resultTrust == Sallyport::ResultTrust::"${random.pick(['own', 'thirdParty'])}"`,
    `context has tool && context.intent.capabilities.contains(context.tool.capability)`,
    `context has tool && [${CAPABILITIES.join(', ')}].contains(context.tool.capability)`,
    'context has tool.reviewed && !context.tool.reviewed',
    `context has provenance && ![${random.pick(LEVELS)}, ${random.pick(LEVELS)}].contains(context.provenance.${kind()})`,
    `context has provenance && context.provenance.${kind()} == context.provenance.${kind()}`,
    `context has provenance && context.provenance.labels.contains(${random.pick(LABELS)})`,
    'context has provenance && context.run.labels.containsAll(context.provenance.labels)',
    'context has provenance.sources && !context.provenance.sources.isEmpty()',
    'context has derived && context.derived.climbs',
    `context has derived && context.derived.domains.contains("${random.pick(['example.org', 'evil.example'])}")`,
    `context has derived && !context.derived.folders.contains("${random.pick(['/srv', '/tmp'])}")`,
    `context has derived && (context.derived.hosts.isEmpty() || context.derived.bytes > ${random.below(90)})`,
    'context has derived && context.intent.addressees.containsAll(context.derived.addresses)',
    'context has derived && context.derived.paths == context.derived.hosts',
  ];
}

/** Longs of either sign up to the ends of 64 bits, some of them only reached by computing. */
const LONGS = [
  '0',
  '1',
  '(-1)',
  '3',
  '4294967296',
  '9007199254740991',
  '(-9007199254740991)',
  '9007199254740993',
  '9223372036854775807',
  '(-9223372036854775808)',
  'context.run.calls',
  'context.run.toolCalls',
  'context.run.depth',
];

function long(random: Random, depth: number): string {
  if (depth === 0 || random.chance(0.4)) return random.pick(LONGS);
  const sub = () => long(random, depth - 1);
  switch (random.below(5)) {
    case 0:
      return `(${sub()} + ${sub()})`;
    case 1:
      return `(${sub()} - ${sub()})`;
    case 2:
      return `(${sub()} * ${sub()})`;
    case 3:
      return `(-${sub()})`;
    default:
      return `(if context.run.denials > 0 then ${sub()} else ${sub()})`;
  }
}

const COMPARISONS = ['<', '<=', '>', '>=', '==', '!='];

function arithmetic(random: Random): string[] {
  return [
    `${long(random, 3)} ${random.pick(COMPARISONS)} ${long(random, 2)}`,
    `[${long(random, 1)}, ${long(random, 1)}, 1].contains(${long(random, 2)})`,
    `${random.pick(DECIMALS)}.${random.pick(DECIMAL_METHODS)}(${random.pick(DECIMALS)})`,
    `${random.pick(DECIMALS)} ${random.pick(['==', '!='])} ${random.pick(DECIMALS)}`,
  ];
}

const DECIMALS = ['1.0', '1.00', '-0.0', '0.0', '-1.5', '922337203685477.5807', '-922337203685477.5808'].map(
  (text) => `decimal("${text}")`,
);
const DECIMAL_METHODS = ['lessThan', 'lessThanOrEqual', 'greaterThan', 'greaterThanOrEqual'];

const TIMES = [
  'context.now',
  'datetime("2026-01-03")',
  'datetime("2026-01-03T10:30:00Z")',
  'datetime("1969-12-31T23:59:59.999Z")',
  'datetime("0000-01-01")',
  'datetime("9999-12-31T23:59:59.999Z")',
  'datetime("2026-01-03T12:30:00+0200")',
];
const DURATIONS = ['1d2h3m4s5ms', '-1d', '0ms', '36h', '9223372036854775807ms', '-9007199254740993ms'].map(
  (text) => `duration("${text}")`,
);
const UNITS = ['toMilliseconds', 'toSeconds', 'toMinutes', 'toHours', 'toDays'];

function times(random: Random): string[] {
  const time = () => {
    return random.pick([
      random.pick(TIMES),
      `${random.pick(TIMES)}.offset(${random.pick(DURATIONS)})`,
      `${random.pick(TIMES)}.toDate()`,
    ]);
  };
  const duration = () => {
    return random.pick([random.pick(DURATIONS), `${time()}.durationSince(${time()})`, `${time()}.toTime()`]);
  };
  return [
    `${time()} ${random.pick(COMPARISONS)} ${time()}`,
    `${duration()} ${random.pick(COMPARISONS)} ${duration()}`,
    `${duration()}.${random.pick(UNITS)}() ${random.pick(COMPARISONS)} ${long(random, 1)}`,
    `[${time()}, ${time()}].contains(${time()})`,
  ];
}

const SETS = [
  'context.run.labels',
  `[${LABELS.join(', ')}]`,
  `[${LABELS[0]}, ${LABELS[0]}]`,
  `[${LABELS[1]}]`,
  `(if context.intent.hasTask then context.run.labels else [${LABELS[2]}])`,
];

const RECORDS = [
  'context.run',
  '{depth: context.run.depth, calls: context.run.calls}',
  '{calls: context.run.calls, depth: 0 + context.run.depth}',
  '{"__proto__": context.run.calls, constructor: 1}',
  '{"toString": 1, "__proto__": 1}',
];

const PATTERNS = [
  '*',
  '',
  'call*',
  '*token',
  'c*l*-*n',
  '*\\**',
  '**',
  'call-token',
  '*é😀*',
  'CALL*',
  '*-*-*',
];
const STRINGS = ['context.credential', 'context.pop', '"é😀"', '"a*b"', '"c-l-n"', '""', '"call-token\\0"'];

function collections(random: Random): string[] {
  const set = () => random.pick(SETS);
  const method = random.pick(['containsAll', 'containsAny']);
  return [
    `${set()}.${method}(${set()})`,
    `${set()} ${random.pick(['==', '!='])} ${set()}`,
    `[${set()}, ${set()}].contains(${set()})`,
    `[${set()}] == [${set()}, ${set()}]`,
    `${random.pick(RECORDS)} ${random.pick(['==', '!='])} ${random.pick(RECORDS)}`,
    `[${random.pick(RECORDS)}].contains(${random.pick(RECORDS)})`,
    `{"__proto__": context.run.calls, "hasOwnProperty": 1}["__proto__"] == ${random.below(3)}`,
    `${random.pick(STRINGS)} like "${random.pick(PATTERNS)}"`,
    `${random.pick(STRINGS)} ${random.pick(['==', '!='])} ${random.pick(STRINGS)}`,
    `(if ${random.pick(STRINGS)} like "${random.pick(PATTERNS)}" then principal else principal) in ${random.pick(AGENTS)}`,
    `(if context.intent.hasTask then resource else resource) is Sallyport::Tool`,
    `principal in [${random.pick(AGENTS)}, ${random.pick(AGENTS)}]`,
    `${random.pick(AGENTS)} in ${random.pick(AGENTS)}`,
    `${FIXED_RUN}.owner == principal.owner`,
  ];
}

const ARG_INFO = [
  'context.argInfo.unmapped.isEmpty()',
  'context.argInfo.extra.contains("surprise")',
  '!(context.argInfo.nulls.isEmpty() && context.argInfo.opaque.isEmpty())',
  'context.argInfo == {nulls: [], opaque: [], unmapped: [], extra: []}',
  'resource.labels.isEmpty()',
];

const ARGS: Readonly<Record<string, readonly string[]>> = {
  'mail/search': [
    'context.args.query like "*secret*"',
    'context.args has limit && context.args.limit + 1 > 3',
  ],
  'mail/send': [
    'context.args.to.contains("eve@evil.example")',
    'context.args has subject && context.args.subject == "hi"',
    'context has args.subject && context.args.body like "a*"',
    'context.args has subject',
  ],
  'pay/transfer': [
    'context.args.amount.greaterThan(decimal("100.0"))',
    'context.args.currency == Sallyport::Arg_pay__transfer__currency::"EUR"',
    'context.args has due && context.args.due < context.now',
    'context.args has memo && context.args.memo != ""',
    '(if context.args has memo then context.args else context.args).to == "acme"',
    'context.args.to == context.args.to',
  ],
  'files/read': ['context.args.path like "/srv/*"'],
  'files/delete-tree': ['!(context.args["path"] like "/tmp/*")'],
};

const PARAMS = [
  'context has uri && context.uri like "file:*"',
  'context has name && context.name == "hello"',
];

function condition(random: Random, atoms: () => string, depth: number): string {
  if (depth === 0 || random.chance(0.3)) return `(${atoms()})`;
  const sub = () => condition(random, atoms, depth - 1);
  switch (random.below(4)) {
    case 0:
      return `(${sub()} && ${sub()})`;
    case 1:
      return `(${sub()} || ${sub()})`;
    case 2:
      return `!${sub()}`;
    default:
      return `(if ${sub()} then ${sub()} else ${sub()})`;
  }
}

/** One policy, mostly valid: the caller keeps what strict validation lets through. */
export function randomPolicy(random: Random, id: string): string {
  const tool = random.pick(Object.keys(ARGS));
  const [scope, special]: [string, readonly string[]] = random.pick([
    ['action', []],
    [`action in ${random.pick(GROUPS)}`, ARG_INFO],
    [`action in [${random.pick(GROUPS)}, ${random.pick(TOOLS)}]`, ARG_INFO],
    [`action in ${random.pick(METHOD_GROUPS)}`, PARAMS],
    [`action == ${random.pick(METHODS)}`, PARAMS],
    [`action == ${action(tool)}`, [...(ARGS[tool] ?? []), ...(ARGS[tool] ?? []), ...ARG_INFO]],
  ]);
  const principal = random.pick([
    'principal',
    'principal',
    `principal in ${random.pick(AGENTS)}`,
    'principal is Sallyport::AgentRun',
    `principal is Sallyport::AgentRun in ${random.pick(AGENTS)}`,
    `principal == ${FIXED_RUN}`,
  ]);
  const resource = random.pick([
    'resource',
    'resource',
    'resource',
    `resource in ${random.pick(UPSTREAMS)}`,
    'resource is Sallyport::Tool',
    'resource is Sallyport::Upstream',
    `resource == Sallyport::Tool::"${tool}"`,
  ]);
  const atoms = () => (special.length > 0 && random.chance(0.6) ? random.pick(special) : anywhere(random));
  const clauses = Array.from({ length: random.below(3) }, () => {
    return ` ${random.pick(['when', 'when', 'unless'])} { ${condition(random, atoms, 2)} }`;
  });
  const effect = random.pick(['permit', 'permit', 'forbid']);
  return `@id("${id}") @reason("r") ${effect}(${principal}, ${scope}, ${resource})${clauses.join('')};`;
}
