/**
 * What the name of a field says about who filled it. Only the upstream issues ids and names senders; anybody
 * writes titles and bodies. Names are compared without case and punctuation.
 */
export type FieldRole = 'identifier' | 'author' | 'addressee' | 'title' | 'text';

const AUTHORS = [
  'sender',
  'from',
  'author',
  'owner',
  'organizer',
  'organiser',
  'creator',
  'createdby',
  'sentby',
  'postedby',
  'requester',
  'requestedby',
  'reporter',
  'submitter',
  'submittedby',
];
const ADDRESSEES = [
  'recipient',
  'recipients',
  'to',
  'cc',
  'bcc',
  'participant',
  'participants',
  'attendee',
  'attendees',
  'member',
  'members',
  'sharedwith',
  'invitees',
  'email',
  'emailaddress',
  'mail',
  'user',
  'users',
  'username',
  'login',
  'account',
  'accountnumber',
  'assignee',
  'assignees',
  'collaborators',
  'reviewers',
];
const IDENTIFIERS = [
  'id',
  'ids',
  'uid',
  'uuid',
  'guid',
  'iban',
  'sku',
  'number',
  'num',
  'ref',
  'reference',
  'sha',
  'hash',
  'key',
];
/** Lists of ids, where their elements are no records: what a system issues, and nobody writes into. */
const ISSUED = [
  'orders',
  'reservations',
  'bookings',
  'invoices',
  'payments',
  'transactions',
  'tickets',
  'shipments',
];
const TITLES = [
  'title',
  'subject',
  'name',
  'filename',
  'path',
  'filepath',
  'summary',
  'label',
  'topic',
  'fullname',
];

const ROLES = new Map<string, FieldRole>([
  ...AUTHORS.map((name) => [name, 'author'] as const),
  ...ADDRESSEES.map((name) => [name, 'addressee'] as const),
  ...[...IDENTIFIERS, ...ISSUED].map((name) => [name, 'identifier'] as const),
  ...TITLES.map((name) => [name, 'title'] as const),
]);

/** `id_`, `event_id`, `message-ids`, `eventId`: an id of something. */
const ID = /(?:^|[_-])(?:ids?|uuid|number)_?$/i;
const ID_IN_CAMEL_CASE = /[a-z0-9](?:Ids?|IDs?|UUID|Number)$/;

const cache = new Map<string, FieldRole>();
const MAX_CACHED = 2_000;

export function roleOf(name: string): FieldRole {
  const known = cache.get(name);
  if (known !== undefined) return known;
  const bare = name.toLowerCase().replace(/[^a-z0-9]/g, '');
  const role = ROLES.get(bare) ?? (ID.test(name) || ID_IN_CAMEL_CASE.test(name) ? 'identifier' : 'text');
  if (cache.size < MAX_CACHED && name.length <= 64) cache.set(name, role);
  return role;
}
