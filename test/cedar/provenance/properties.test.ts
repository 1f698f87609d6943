import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodedForms } from '../../../src/cedar/provenance/decoded-forms.ts';
import { fragmentsOf } from '../../../src/cedar/provenance/fragments.ts';
import { normalForm } from '../../../src/cedar/provenance/normal-form.ts';
import { readYamlLike } from '../../../src/cedar/provenance/yaml-like.ts';
import { INBOX, openDesk, tool } from '../../support/provenance.ts';

const word = fc.stringMatching(/^[a-z][a-z0-9]{2,9}$/);
const mail = fc.tuple(word, word).map(([user, domain]) => `${user}@${domain}.example`);
const seed = { seed: 20_260_103, numRuns: 80 };

describe('the normal form', () => {
  it('is its own normal form', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const once = normalForm(text);
        expect(normalForm(once)).toBe(once);
      }),
      seed,
    );
  });

  it('takes case, width and white space away from mail addresses, and nothing else', () => {
    fc.assert(
      fc.property(mail, mail, (a, b) => {
        expect(normalForm(` ${a.toUpperCase()}\t`)).toBe(normalForm(a));
        expect(normalForm(a) === normalForm(b)).toBe(a === b);
      }),
      seed,
    );
  });

  it('keeps the case of a path, which tells pages apart', () => {
    expect(normalForm('HTTPS://Corp.Example/A/b')).toBe('corp.example/A/b');
    expect(normalForm('https://corp.example/a/b')).not.toBe(normalForm('https://corp.example/A/b'));
  });
});

describe('no-substring rule', () => {
  it('nothing that is only a part of a field, or has a field in it, is vouched for', () => {
    fc.assert(
      fc.property(mail, word, (address, extra) => {
        const desk = openDesk();
        desk.sees(tool(), { email: address, note: `write to ${extra}.${address} at once` });
        expect(desk.address(address)).toBe('ownResult');
        for (const other of [
          address.slice(1),
          address.slice(0, -1),
          `${extra}${address}`,
          `${address}.${extra}`,
        ]) {
          expect(['derived', 'thirdPartyText', 'unknown']).toContain(desk.address(other));
        }
      }),
      seed,
    );
  });

  it('no part of a word of the request is the request', () => {
    fc.assert(
      fc.property(mail, (address) => {
        const desk = openDesk(`Please write to ${address}.`);
        expect(desk.address(address)).toBe('request');
        expect(desk.address(address.slice(1))).not.toBe('request');
        expect(desk.address(`${address}.evil.example`)).not.toBe('request');
      }),
      seed,
    );
  });

  it('what comes encoded is found, and never vouched for', () => {
    const encodings = [
      (text: string) => encodeURIComponent(text),
      (text: string) => encodeURIComponent(encodeURIComponent(text)),
      (text: string) => Buffer.from(text).toString('base64'),
      (text: string) => Buffer.from(text).toString('hex'),
      (text: string) => JSON.stringify(text).replace('@', '\\u0040').slice(1, -1),
    ];
    fc.assert(
      fc.property(mail, fc.constantFrom(...encodings), (address, encode) => {
        expect(decodedForms(encode(address))).toContain(address);
        const own = openDesk();
        own.sees(tool(), { email: address }, { labels: ['private'] });
        expect(own.facts({ to: encode(address) })).toMatchObject({ address: 'derived', labels: ['private'] });
        const other = openDesk();
        other.sees(INBOX, `mail ${address} now`);
        expect(other.address(encode(address))).toBe('thirdPartyText');
      }),
      seed,
    );
  });
});

describe('readers of other people’s text', () => {
  it('never throw, whatever they read', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        readYamlLike(text);
        fragmentsOf(text);
        decodedForms(text);
        openDesk(text).sees(INBOX, text);
      }),
      seed,
    );
  });

  it('read back what a YAML printer wrote', () => {
    const scalar = fc.stringMatching(/^[a-z][a-zA-Z0-9 .@-]{0,40}[a-z]$/);
    fc.assert(
      fc.property(fc.array(fc.dictionary(word, scalar, { minKeys: 1 }), { minLength: 1 }), (records) => {
        const printed = records
          .map((record) =>
            Object.entries(record)
              .map(([key, value], at) => `${at === 0 ? '- ' : '  '}${key}: '${value.replaceAll("'", "''")}'`)
              .join('\n'),
          )
          .join('\n');
        expect(readYamlLike(printed)).toEqual(records);
      }),
      seed,
    );
  });

  it('take time in proportion to what they read', () => {
    const hostile = [
      'a',
      'a.',
      'a@',
      '1 ',
      'a@a.',
      "'x'\n",
      '- ',
      'a: ',
      '%41',
      'ä',
      'http://',
      '"\\',
      'AB12 ',
    ];
    for (const piece of hostile) {
      const text = piece.repeat(Math.ceil(200_000 / piece.length));
      const began = performance.now();
      openDesk().sees(INBOX, text);
      openDesk().facts({ body: text, to: text });
      expect(performance.now() - began, piece).toBeLessThan(4_000);
    }
  });
});
