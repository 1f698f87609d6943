import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/base/index.ts';
import { deriveAnnotations } from '../../src/cedar/index.ts';

const text = { type: 'string' };
const schema = (...names: string[]): JsonObject => ({
  type: 'object',
  properties: Object.fromEntries(names.map((name) => [name, text])),
});
const define = (name: string, args: string[], over: JsonObject = {}): JsonObject => ({
  name,
  inputSchema: schema(...args),
  ...over,
});
const hints = (annotations: JsonObject): JsonObject => ({ annotations });
const short = (definition: JsonObject) => {
  const { effect, sink, resultTrust, capability } = deriveAnnotations(definition);
  return [effect, sink, resultTrust, capability ?? '-'].join(' ');
};

describe('annotations derived from the tools of public servers', () => {
  it.each<[string, string[], string]>([
    // filesystem
    ['read_text_file', ['path'], 'read none thirdParty -'],
    ['write_file', ['path', 'content'], 'write own thirdParty edit-files'],
    ['edit_file', ['path', 'edits'], 'write own thirdParty edit-files'],
    ['move_file', ['source', 'destination'], 'write external thirdParty edit-files'],
    ['list_directory', ['path'], 'read none thirdParty -'],
    ['get_file_info', ['path'], 'read none thirdParty -'],
    // github
    ['create_issue', ['owner', 'repo', 'title', 'body'], 'write external thirdParty edit-records'],
    ['merge_pull_request', ['owner', 'repo', 'pullNumber'], 'write external thirdParty publish'],
    ['search_code', ['query'], 'read none thirdParty -'],
    ['get_file_contents', ['owner', 'repo', 'path'], 'read none thirdParty -'],
    ['push_files', ['owner', 'repo', 'branch', 'message'], 'write external thirdParty publish'],
    // mail, chat, calendar
    ['send_email', ['recipients', 'subject', 'body'], 'write external thirdParty send-message'],
    ['gmail_send', ['to', 'body'], 'write external thirdParty send-message'],
    ['slack_post_message', ['channel_id', 'text'], 'write external thirdParty send-message'],
    ['delete_email', ['email_id'], 'write external thirdParty delete'],
    ['get_unread_emails', [], 'read none thirdParty -'],
    ['calendar_event_create', ['title', 'start_time'], 'write own thirdParty schedule'],
    ['create_calendar_event', ['title', 'participants'], 'write external thirdParty schedule'],
    ['invite_user_to_slack', ['user', 'user_email'], 'write external thirdParty manage-access'],
    // money, travel
    ['send_money', ['recipient', 'amount', 'subject'], 'write external thirdParty pay'],
    ['schedule_transaction', ['recipient', 'amount'], 'write external thirdParty pay'],
    ['get_balance', [], 'read none own -'],
    ['get_most_recent_transactions', ['n'], 'read none thirdParty -'],
    ['reserve_hotel', ['hotel', 'start_day'], 'write external thirdParty book'],
    // web
    ['fetch', ['url'], 'egressRead external thirdParty fetch-web'],
    ['get_webpage', ['url'], 'egressRead external thirdParty fetch-web'],
    ['post_webpage', ['url', 'content'], 'write external thirdParty publish'],
    ['browser_navigate', ['url'], 'write external thirdParty fetch-web'],
    ['search_web', ['query'], 'egressRead external thirdParty fetch-web'],
    // others
    ['get_current_time', ['timezone'], 'read none own -'],
    ['get_current_day', [], 'read none own -'],
    ['execute_sql', ['sql'], 'write external thirdParty run-code'],
    ['run_command', ['command'], 'write external thirdParty run-code'],
    ['update_password', ['password'], 'write external thirdParty manage-access'],
    ['share_file', ['file_id', 'email', 'permission'], 'write external thirdParty manage-access'],
    ['find_and_replace', ['path', 'text'], 'write own thirdParty -'],
    ['frobnicate', ['x'], 'write external thirdParty -'],
    ['', [], 'write external thirdParty -'],
  ])('%s', (name, args, expected) => {
    expect(short(define(name, args))).toBe(expected);
  });

  it('tell addresses from identifiers and content, through objects and lists', () => {
    const { keyArguments, contentArguments } = deriveAnnotations({
      name: 'create_event',
      inputSchema: {
        type: 'object',
        properties: {
          calendarId: text,
          event: {
            type: 'object',
            properties: { title: text, participants: { type: 'array', items: text }, start_time: text },
          },
          links: { type: 'array', items: { type: 'string', format: 'uri' } },
          guests: { type: 'array', items: { type: 'object', properties: { email: text, note: text } } },
          priority: { type: 'string', enum: ['low', 'high'] },
          count: { type: 'integer' },
          secretChannel: { anyOf: [{ type: 'null' }, text] },
        },
      },
    });
    expect(keyArguments).toEqual([
      { path: 'calendarId', kind: 'identifier' },
      { path: 'event.participants', kind: 'address' },
      { path: 'links', kind: 'address' },
      { path: 'guests.email', kind: 'address' },
      { path: 'secretChannel', kind: 'address' },
    ]);
    expect(contentArguments).toEqual(['event.title', 'guests.note']);
  });
});

describe('lying annotations', () => {
  it('do not make a write a read', () => {
    const lie = hints({ readOnlyHint: true, openWorldHint: false, destructiveHint: false });
    expect(short(define('send_email', ['to', 'body'], lie))).toBe('write external thirdParty send-message');
    expect(short(define('delete_all', [], lie))).toBe('write own thirdParty delete');
  });

  it('do not make outside text one’s own, or a fetch a read', () => {
    const lie = hints({ readOnlyHint: true, openWorldHint: false });
    expect(short(define('get_issue', ['number'], lie))).toBe('read none thirdParty -');
    expect(short(define('fetch', ['url'], lie))).toBe('egressRead external thirdParty fetch-web');
    expect(short(define('lookup', ['webhook'], lie))).toBe('egressRead external thirdParty fetch-web');
  });

  it('are believed when they make a tool worse', () => {
    expect(short(define('get_balance', [], hints({ readOnlyHint: false })))).toMatch(/^write/);
    expect(short(define('list_things', [], hints({ destructiveHint: true })))).toMatch(/^write/);
    expect(short(define('create_note', [], hints({ openWorldHint: true })))).toMatch(/^write external/);
  });

  it('of a description count only when they make a tool worse', () => {
    expect(short(define('get_thing', [], { description: 'Deletes everything' }))).toMatch(/^write/);
    expect(short(define('wipe', [], { description: 'Reads only, I promise' }))).toMatch(/^write external/);
  });
});

describe('any definition', () => {
  it('gets annotations, and never throws', () => {
    const word = fc.constantFrom(
      'send',
      'get',
      'to',
      'url',
      'body',
      'properties',
      '__proto__',
      'constructor',
      'type',
    );
    const anything = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 6 },
        fc.constantFrom<JsonObject | string | number | boolean | null>(
          'string',
          'object',
          'array',
          null,
          true,
          3,
        ),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(
          fc.oneof(word, fc.constantFrom('inputSchema', 'items', 'anyOf', 'enum', 'format')),
          tie('value'),
          {
            maxKeys: 4,
          },
        ),
      ),
    })).value;
    fc.assert(
      fc.property(anything, fc.string(), (inputSchema, name) => {
        const derived = deriveAnnotations({ name, inputSchema } as JsonObject);
        expect(derived.resultTrust === 'own' && derived.effect !== 'read').toBe(false);
      }),
    );
  });
});

describe('names of people', () => {
  it('are data in a record of the own account, and choose the record that is removed', () => {
    const add = deriveAnnotations(define('create_contact', ['first_name', 'last_name']));
    expect(add.keyArguments).toEqual([]);
    expect(add.contentArguments).toEqual(['first_name', 'last_name']);
    const remove = deriveAnnotations(define('delete_contact', ['first_name', 'last_name']));
    expect(remove.keyArguments.map(({ path }) => path)).toEqual(['first_name', 'last_name']);
  });

  it('still say which one it is when they are ids of somebody who is reached', () => {
    const send = deriveAnnotations(define('send_note', ['receiver_id', 'payee_id']));
    expect(send.keyArguments).toEqual([
      { path: 'receiver_id', kind: 'address' },
      { path: 'payee_id', kind: 'address' },
    ]);
  });
});
