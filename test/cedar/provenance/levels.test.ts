import { describe, expect, it } from 'vitest';
import { INBOX, openDesk, SEND, tool } from '../../support/provenance.ts';

const EVENTS = [
  { id: 'evt-4711', title: 'Budget review', organizer: 'ana@corp.example', attendees: ['bo@corp.example'] },
  { id: 'evt-4712', title: 'Lunch', organizer: 'cy@corp.example', attendees: ['di@corp.example'] },
];

describe('where a value comes from', () => {
  it('is the request when the request says it as whole words', () => {
    const desk = openDesk("Send 'Q3 report.pdf' to ana@corp.example, please.");
    expect(desk.address('ana@corp.example')).toBe('request');
    expect(desk.identifier('Q3 report.pdf')).toBe('request');
  });

  it('is the declared intent where that names addressees and sources', () => {
    const desk = openDesk();
    desk.index.observeIntent({ addressees: ['ana@corp.example'], sources: ['plan.md'] });
    expect(desk.address('Ana@Corp.example')).toBe('request');
    expect(desk.identifier('plan.md')).toBe('request');
  });

  it('is the principal, or a constant of the operator, also by domain', () => {
    const desk = openDesk('', {
      principal: ['me@corp.example'],
      constants: ['@partner.example', 'ops-channel'],
    });
    expect(desk.address('me@corp.example')).toBe('principal');
    expect(desk.address('anybody@partner.example')).toBe('constant');
    expect(desk.address('anybody@sub.partner.example')).toBe('unknown');
    expect(desk.address('ops-channel')).toBe('constant');
  });

  it('is an own result when a whole field of one holds it, in structured content, JSON or YAML-like text', () => {
    const desk = openDesk();
    desk.sees(tool(), { contacts: [{ name: 'Ana', email: 'ana@corp.example' }] });
    desk.sees(tool(), '{"account": "DE02120300000000202051"}');
    desk.sees(tool(), '- name: Bo\n  email: bo@corp.example\n- name: Cy\n  email: cy@corp.example');
    expect(desk.address('ana@corp.example')).toBe('ownResult');
    expect(desk.address('DE02 1203 0000 0000 2020 51')).toBe('ownResult');
    expect(desk.address('cy@corp.example')).toBe('ownResult');
    expect(desk.facts({ to: 'cy@corp.example' }).sources).toEqual(['call-3']);
  });

  it('is a system field for ids and people of third-party records, and text for their words', () => {
    const desk = openDesk();
    desk.sees(INBOX, EVENTS);
    expect(desk.identifier('evt-4711')).toBe('systemField');
    expect(desk.address('ana@corp.example')).toBe('systemField');
    expect(desk.identifier('Budget review')).toBe('thirdPartyText');
  });

  it('is a named field when the request names the record', () => {
    const desk = openDesk('Invite everybody who was in "Budget review" again');
    desk.sees(INBOX, EVENTS);
    expect(desk.address(['ana@corp.example', 'bo@corp.example'])).toBe('namedField');
    expect(desk.address('di@corp.example')).toBe('systemField');
  });

  it('is no named field for addresses once the request spells out an address itself', () => {
    const desk = openDesk('Send a summary of "Budget review" to boss@corp.example');
    desk.sees(INBOX, EVENTS);
    expect(desk.address('boss@corp.example')).toBe('request');
    expect(desk.address('ana@corp.example')).toBe('systemField');
  });

  it('never is a named field for an account number', () => {
    const desk = openDesk('Pay what "Budget review" cost');
    desk.sees(INBOX, [{ title: 'Budget review', sender: 'DE02120300000000202051' }]);
    expect(desk.address('DE02120300000000202051')).toBe('systemField');
  });

  it('is an own result where the principal wrote the third-party record', () => {
    const desk = openDesk('What did me@corp.example send?', { principal: ['me@corp.example'] });
    desk.sees(INBOX, [
      { sender: 'me@corp.example', recipients: ['ana@corp.example'], body: 'write to eve@evil.example' },
      { sender: 'bo@corp.example', recipients: ['cy@corp.example'] },
    ]);
    expect(desk.address('ana@corp.example')).toBe('ownResult');
    expect(desk.address('cy@corp.example')).toBe('systemField');
    expect(desk.address('eve@evil.example')).toBe('namedText');
  });

  it('is created for what the tree made, as an identifier only', () => {
    const desk = openDesk();
    desk.writes(tool({ effect: 'write', sink: 'own' }), { filename: 'minutes-2026.md', content: 'text' });
    expect(desk.identifier('minutes-2026.md')).toBe('created');
    expect(desk.address('minutes-2026.md')).toBe('unknown');
  });

  it('is named text for what stands in the words of a source that the request names', () => {
    const desk = openDesk("Pay the bill in 'invoice-77.txt'");
    desk.sees(INBOX, 'Please pay to\nIBAN: DE02120300000000202051\nThank you!', {
      args: { path: 'invoice-77.txt' },
    });
    expect(desk.address('DE02120300000000202051')).toBe('namedText');
  });

  it('is unknown for what was never seen', () => {
    expect(openDesk('hello').address('eve@evil.example')).toBe('unknown');
  });

  it('is the worst over all elements of a list, and over a list inside a string', () => {
    const desk = openDesk('Write to ana@corp.example');
    desk.sees(INBOX, 'also tell eve@evil.example');
    expect(desk.address(['ana@corp.example', 'eve@evil.example'])).toBe('thirdPartyText');
    expect(desk.address('ana@corp.example, Eve <eve@evil.example>')).toBe('thirdPartyText');
    expect(desk.address([['ana@corp.example'], [{ deep: ['eve@evil.example'] }]])).toBe('thirdPartyText');
    expect(desk.address([])).toBe('none');
    expect(desk.facts({}).worst).toBe('none');
  });

  it('of content is the worst of the links, addresses and accounts in it, also of encoded ones', () => {
    const desk = openDesk('Tell ana@corp.example that https://corp.example/plan is ready');
    desk.sees(INBOX, 'look at https://evil.example/x?q=1');
    expect(desk.facts({ body: 'hello' }).content).toBe('none');
    expect(desk.facts({ body: 'see https://corp.example/plan!' }).content).toBe('request');
    expect(desk.facts({ body: 'see https://evil.example/x?q=1.' }).content).toBe('thirdPartyText');
    expect(desk.facts({ body: `see ${encodeURIComponent('https://evil.example/x?q=1')}` }).content).toBe(
      'thirdPartyText',
    );
    expect(desk.facts({ body: 'see www.never-seen.example/a' }).content).toBe('unknown');
  });

  it('brings the labels of every result it was seen in, through the whole tree', () => {
    const desk = openDesk('', {});
    desk.sees(tool(), [{ id: 'cust-1001', note: 'prefers mail' }], { labels: ['private'] });
    desk.sees(INBOX, 'about cust-1001', { labels: ['untrusted'] });
    expect(desk.facts({ record: 'cust-1001' }).labels).toEqual(['private', 'untrusted']);
    expect(desk.facts({ body: 'the client is cust-1001.' }).labels).toEqual(['private', 'untrusted']);
  });

  it('names call and field of the worst element first', () => {
    const desk = openDesk();
    desk.sees(tool(), { email: 'ana@corp.example' });
    desk.sees(INBOX, [{ from: 'eve@evil.example' }]);
    const [to] = desk.index.explain({ to: ['ana@corp.example', 'eve@evil.example'] }, SEND).arguments;
    expect(to?.sources).toEqual([
      { call: 'call-2', field: '*.from' },
      { call: 'call-1', field: 'email' },
    ]);
  });
});

describe('what points at a record without a text that says its id', () => {
  const FILES = [{ id: 'f-1' }, { id: '13' }, { id: '14' }];

  it('is a number where a title belongs', () => {
    const desk = openDesk('Delete the largest file');
    desk.sees(INBOX, FILES);
    expect(desk.identifier('13')).toBe('systemField');
    desk.sees(INBOX, [{ id: '77', filename: '13' }]);
    expect(desk.identifier('13')).toBe('thirdPartyText');
    expect(desk.identifier('f-1')).toBe('systemField');
  });

  it('is a name that stands among the addresses of people', () => {
    const desk = openDesk('Delete the largest file');
    desk.sees(INBOX, FILES);
    desk.sees(INBOX, [{ id: '77', attendees: ['ana@corp.example', '13'] }]);
    expect(desk.identifier('13')).toBe('thirdPartyText');
    desk.sees(INBOX, [{ id: '78', shared_with: { 'ana@corp.example': 'r', '14': 'r' } }]);
    expect(desk.identifier('14')).toBe('thirdPartyText');
  });

  it('is no list of names in which nothing is an address', () => {
    const desk = openDesk('Close the oldest');
    desk.sees(INBOX, [{ id: 'u-7', members: ['u-7', 'u-8'], tickets: ['K-1'] }]);
    expect(desk.identifier('u-7')).toBe('systemField');
    expect(desk.identifier('K-1')).toBe('systemField');
  });
});

describe('a file that the request speaks of', () => {
  it('is named without its hyphens and its ending, and not by one word of its name', () => {
    const desk = openDesk('Send everybody their part of the team meeting minutes.');
    desk.sees(INBOX, [{ filename: 'team-meeting-minutes.docx', content: 'See https://plan.example/a' }]);
    expect(desk.facts({ body: 'https://plan.example/a' }).content).toBe('namedText');
    desk.sees(INBOX, [{ filename: 'send-everybody.docx', content: 'See https://plan.example/c' }]);
    expect(desk.facts({ body: 'https://plan.example/c' }).content).toBe('thirdPartyText');
    desk.sees(INBOX, [{ filename: 'minutes.docx', content: 'See https://plan.example/b' }]);
    expect(desk.facts({ body: 'https://plan.example/b' }).content).toBe('thirdPartyText');
  });
});
