import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/base/index.ts';
import { readTar, verifyBundle } from '../../src/evidence/index.ts';
import { exportedRun } from '../support/bundle.ts';

const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "'><svg/onload=alert(1)>",
  '</code></div></section><h1>Verified by the police</h1>',
  '</style><style>*{display:none}</style>',
  '<meta http-equiv="refresh" content="0;url=https://evil.example">',
  '<a href="javascript:alert(1)">click</a>',
  '<iframe srcdoc="<script>alert(1)</script>">',
  '<base href="https://evil.example/">',
  '<!--',
  '-->',
  '<![CDATA[',
  ']]>',
  '&lt;script&gt;',
  '&#60;script&#62;',
  '\u202etxt.exe\u202c',
  '\u2066\u2067\u2068',
  '\u200b\u200d\ufeff',
  '\u0000\u0008\u001b[2J',
  '\ud83d\ude00',
  '\u{e0041}\u{e0042}',
  '{{7*7}}',
  ['$', '{7*7}'].join(''),
  ['`$', '{alert(1)}`'].join(''),
  'x\u2028y\u2029z',
  '<xss style="behavior:url(x)">',
  '<math><mtext></mtext><mglyph><style>',
  '\u003cscript\u003e',
];

async function pageFor(evil: string): Promise<string> {
  const run = await exportedRun(canonicalJson({ content: [{ type: 'text', text: evil }] }), evil);
  const bundle = run.bundle();
  expect(verifyBundle(bundle, run.policy).verdict).toBe('verified');
  const files = readTar(bundle);
  const page = files.ok ? files.value.find(({ name }) => name === 'summary.html') : undefined;
  return Buffer.from(page?.bytes ?? []).toString('utf8');
}

describe('the summary', () => {
  it('has the same markup whatever agents and servers say, and no character that does not show', async () => {
    const tags = (page: string): string[] => page.match(/<[^>]*>/g) ?? [];
    const harmless = tags(await pageFor('harmless'));
    const all = await pageFor(HOSTILE.join(' '));
    expect(tags(all)).toEqual(harmless);
    expect(all).not.toMatch(/[^\P{C}\n\t]|[\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]/u);
    expect(all).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(all).toContain('\\u{202e}txt.exe');
  });

  it('forbids scripts, loading and forms, and has none', async () => {
    const page = await pageFor('<script>');
    expect(page).toMatch(
      /Content-Security-Policy" content="default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'"/,
    );
    expect(page).not.toMatch(/<script|<img|<link|<iframe|<a |\son\w+=|javascript:|url\(/i);
  });

  it('cannot be drowned: long words of others are cut, and the page says so', async () => {
    const page = await pageFor('A'.repeat(90_000));
    expect(page.length).toBeLessThan(60_000);
    expect(page).toContain('all of it is in content.jsonl');
  });
});
