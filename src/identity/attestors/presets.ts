import type { JsonObject, JsonValue } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';

/** Platforms whose tokens are known: what their issuer looks like and which claims never change hands. */
export const PRESETS = ['github-actions', 'gitlab', 'kubernetes', 'aws', 'gcp', 'azure'] as const;
export type PresetName = (typeof PRESETS)[number];

/** Signature algorithms that an attestor may pin. */
export type AssertionAlgorithm = 'ES256' | 'ES384' | 'EdDSA' | 'RS256' | 'PS256';

/** What is known of a platform's tokens. */
export type Preset = {
  /** Exact issuers, or what any issuer of the platform looks like. */
  readonly issuer: RegExp;
  readonly algorithms: readonly AssertionAlgorithm[];
  /** Of each group a rule must name one claim. */
  readonly required: readonly (readonly string[])[];
  /** Claims that a token must have, whatever they hold. */
  readonly present: readonly string[];
  /** Claims that say which job, pod or instance it was: kept in the evidence where they are there. */
  readonly telling: readonly string[];
  /** Why a rule must name the claims, for whoever wrote a laxer one. */
  readonly why: string;
};

const PRESET: Readonly<Record<PresetName, Preset>> = {
  'github-actions': {
    issuer: /^https:\/\/token\.actions\.githubusercontent\.com(?:\/[A-Za-z0-9-]+)?\/?$/,
    algorithms: ['RS256'],
    required: [
      ['repository_id'],
      ['repository_owner_id'],
      ['job_workflow_ref', 'environment', 'environment_node_id'],
    ],
    present: [],
    telling: ['run_id', 'run_attempt', 'sha', 'ref', 'event_name', 'actor_id'],
    why: 'names of repositories change hands, and a repository runs workflows that others wrote',
  },
  gitlab: {
    issuer: /^https:\/\/[^/]+(?:\/.*)?$/,
    algorithms: ['RS256'],
    required: [['project_id'], ['ref_protected', 'environment_protected', 'environment', 'ref_path']],
    present: [],
    telling: ['job_id', 'pipeline_id', 'sha', 'ref', 'user_id'],
    why: 'paths of projects change hands, and any branch may run a pipeline',
  },
  kubernetes: {
    issuer: /^https?:\/\/.+$/,
    algorithms: ['RS256', 'ES256'],
    required: [['/kubernetes.io/namespace'], ['/kubernetes.io/serviceaccount/uid']],
    present: ['/kubernetes.io/pod/uid'],
    telling: ['/kubernetes.io/pod/name', '/kubernetes.io/serviceaccount/name', '/kubernetes.io/node/name'],
    why: 'a service account that is made again under the same name is another one',
  },
  aws: {
    issuer: /^https:\/\/[a-z0-9-]+\.tokens\.sts\.[a-z0-9-]+\.api\.(?:aws|amazonwebservices\.com\.cn)$/,
    algorithms: ['RS256', 'ES384'],
    required: [['sub']],
    present: [],
    telling: ['/https:~1~1sts.amazonaws.com~1/aws_account', '/https:~1~1sts.amazonaws.com~1/source_region'],
    why: 'every principal of the account may ask for a token',
  },
  gcp: {
    issuer: /^https:\/\/accounts\.google\.com$/,
    algorithms: ['RS256'],
    required: [['sub']],
    present: [],
    telling: ['email', '/google/compute_engine/instance_id', '/google/compute_engine/project_id'],
    why: 'the issuer signs for everybody; sub is the unique id of one service account',
  },
  azure: {
    issuer:
      /^https:\/\/(?:login\.microsoftonline\.com\/[0-9a-f-]{36}\/v2\.0|sts\.windows\.net\/[0-9a-f-]{36}\/)$/,
    algorithms: ['RS256'],
    required: [['tid'], ['oid']],
    present: [],
    telling: ['azp', 'appid', 'xms_mirid'],
    why: 'only the object id of a service principal is never given to another one',
  },
};

/** Issuers that sign for everybody: they are held to their preset, named or not. */
const SHARED: readonly (readonly [RegExp, PresetName])[] = [
  [/^https:\/\/token\.actions\.githubusercontent\.com(?:\/.*)?$/, 'github-actions'],
  [/^https:\/\/gitlab\.com\/?$/, 'gitlab'],
  [/^https:\/\/accounts\.google\.com\/?$/, 'gcp'],
  [/^https:\/\/(?:login\.microsoftonline\.com|sts\.windows\.net)\//, 'azure'],
];

/** The preset an issuer is held to: the named one, or that of a platform that signs for everybody. */
export function presetFor(issuer: string, named: PresetName | undefined): Preset | undefined {
  const name = named ?? SHARED.find(([pattern]) => pattern.test(issuer))?.[1];
  return name === undefined ? undefined : PRESET[name];
}

/** The value of a claim: by name, or by JSON pointer (RFC 6901) when the name starts with a slash. */
export function claimAt(claims: JsonObject, name: string): JsonValue | undefined {
  if (!name.startsWith('/')) return Object.hasOwn(claims, name) ? claims[name] : undefined;
  let value: JsonValue | undefined = claims;
  for (const part of name.slice(1).split('/')) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (!isJsonObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}
