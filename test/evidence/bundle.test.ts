import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logVerifyBundle } from '../../src/cli/log-bundle.ts';
import { logErase } from '../../src/cli/log-erase.ts';
import { readTar, type TarFile, verifyBundle, writeTar } from '../../src/evidence/index.ts';
import { createCosigner, parseTlogPolicy, type TlogPolicy } from '../../src/intent-log/index.ts';
import { type ExportedRun, exportedRun } from '../support/bundle.ts';
import { openContentLog } from '../support/content-log.ts';
import { seeded } from '../support/seeded.ts';

function filesOf(bundle: Uint8Array): TarFile[] {
  const files = readTar(bundle);
  if (!files.ok) throw new Error(files.error);
  return files.value.map(({ name, bytes }) => ({ name, bytes: Buffer.from(bytes) }));
}

const text = (files: readonly TarFile[], name: string): string =>
  Buffer.from(files.find((file) => file.name === name)?.bytes ?? []).toString('utf8');

function replace(files: readonly TarFile[], name: string, change: (text: string) => string): Buffer {
  return writeTar(
    files.map((file) =>
      file.name === name ? { name, bytes: Buffer.from(change(text(files, name))) } : file,
    ),
  );
}

let exported: ExportedRun;
let bundle: Buffer;
let policy: TlogPolicy;

beforeAll(async () => {
  exported = await exportedRun(undefined, undefined, mkdtempSync(join(tmpdir(), 'sallyport-bundle-')));
  bundle = exported.bundle();
  policy = exported.policy;
});
afterAll(() => rmSync(exported.folder, { recursive: true, force: true }));

describe('an evidence bundle', () => {
  it('verifies with nothing but what its reader believes', () => {
    expect(verifyBundle(bundle, policy)).toMatchObject({
      verdict: 'verified',
      findings: [],
      root: exported.root,
      records: 12,
      disclosed: 4,
    });
  });

  it('holds the whole delegation tree and nothing of other runs', () => {
    const records = text(filesOf(bundle), 'records.jsonl').trim().split('\n');
    const strands = records.map((line) => (JSON.parse(line) as { strand: string }).strand);
    expect(new Set(strands)).toEqual(new Set(['gateway', exported.root, exported.child]));
  });

  it('cannot be decided on its own word alone', () => {
    const report = verifyBundle(bundle);
    expect(report.verdict).toBe('undecided');
    expect(report.findings[0]?.what).toMatch(/bundle's own word/);
  });

  it('cannot be decided when the policy asks for a witness that has not seen the log, or for another log', () => {
    const stranger = createCosigner('w.example.net', generateKeyPairSync('ed25519').privateKey);
    const key = text(filesOf(bundle), 'log-public-key').trim();
    const asks = parseTlogPolicy(`log ${key}\nwitness w ${stranger.verifierKey}\nquorum w\n`);
    if (!asks.ok) throw new Error(asks.error);
    expect(verifyBundle(bundle, asks.value).verdict).toBe('undecided');
  });

  it('fails with any byte changed: records, proofs, keys, definitions, content, summary, archive', () => {
    const { below } = seeded(41);
    const places = Array.from({ length: 160 }, () => below(bundle.length));
    const files = filesOf(bundle);
    let at = 0;
    for (const { bytes } of files) {
      places.push(at + below(100), at + 512, at + 512 + below(bytes.length));
      at += 512 + Math.ceil(bytes.length / 512) * 512;
    }
    for (const place of places) {
      const changed = Buffer.from(bundle);
      changed[place] = (changed[place] ?? 0) ^ (1 << below(8));
      expect(verifyBundle(changed, policy).verdict, `byte ${place}`).not.toBe('verified');
    }
  });

  it('fails cut off anywhere, or with something added', () => {
    const { below } = seeded(42);
    for (let i = 0; i < 40; i++) {
      expect(verifyBundle(bundle.subarray(0, below(bundle.length)), policy).verdict).toBe('failed');
    }
    expect(verifyBundle(Buffer.concat([bundle, Buffer.from('x')]), policy).verdict).toBe('failed');
    const more = writeTar([...filesOf(bundle), { name: 'notes.html', bytes: Buffer.from('<script>') }]);
    expect(verifyBundle(more, policy).findings.map(({ what }) => what)).toContain(
      'notes.html is not what the records make of it',
    );
  });

  it.each([
    ['any one record left out', (lines: string[], i: number) => lines.toSpliced(i, 1)],
    ['any one record there twice', (lines: string[], i: number) => lines.toSpliced(i, 0, lines[i] ?? '')],
    ['any two records swapped', (lines: string[], i: number) => swapped(lines, i)],
  ])('fails or cannot be decided with %s', (_, change) => {
    const files = filesOf(bundle);
    const lines = text(files, 'records.jsonl').trim().split('\n');
    for (let i = 0; i < lines.length; i++) {
      const changed = replace(files, 'records.jsonl', () => `${change(lines, i).join('\n')}\n`);
      expect(verifyBundle(changed, policy).verdict, `record ${i}`).toBe('failed');
    }
  });

  it('fails when its summary says something else than the records, however harmless', () => {
    const spoofed = replace(filesOf(bundle), 'summary.html', (page) =>
      page.replace('permitted', 'forbidden'),
    );
    expect(verifyBundle(spoofed, policy).findings.map(({ what }) => what)).toEqual([
      'summary.html is not what the records make of it',
    ]);
  });

  it('fails when disclosed content is not what was committed to, or belongs to another call', () => {
    const files = filesOf(bundle);
    const other = replace(files, 'content.jsonl', (lines) => lines.replace('{\\"n\\":1}', '{\\"n\\":2}'));
    expect(verifyBundle(other, policy).verdict).toBe('failed');
    const moved = replace(files, 'content.jsonl', (lines) =>
      lines.replace(exported.calls[0] ?? '', exported.calls[1] ?? ''),
    );
    expect(verifyBundle(moved, policy).verdict).toBe('failed');
  });

  it('fails when a policy or definition was exchanged', () => {
    const files = filesOf(bundle);
    for (const { name } of files.filter((file) => file.name.startsWith('definitions/'))) {
      const changed = replace(files, name, (body) => body.replace(/permit|Lists/, 'forbid'));
      expect(verifyBundle(changed, policy).verdict).toBe('failed');
    }
  });

  it('made up from nothing with a key of its own is not verified', async () => {
    const forged = await exportedRun();
    const report = verifyBundle(forged.bundle(), policy);
    expect(report.verdict).toBe('failed');
    expect(report.findings[0]?.what).toMatch(/not signed with the key of the log/);
  });

  it('with records spliced in from another log fails', async () => {
    const forged = filesOf((await exportedRun()).bundle());
    const record = text(forged, 'records.jsonl').split('\n')[3] ?? '';
    const lines = text(filesOf(bundle), 'records.jsonl').split('\n');
    const changed = replace(filesOf(bundle), 'records.jsonl', () => lines.toSpliced(3, 1, record).join('\n'));
    expect(verifyBundle(changed, policy).verdict).toBe('failed');
  });

  it('never throws, whatever it is given', () => {
    const { below } = seeded(43);
    for (let i = 0; i < 50; i++) {
      const noise = Buffer.from(Array.from({ length: below(3000) }, () => below(256)));
      expect(verifyBundle(noise, policy).verdict).toBe('failed');
      expect(verifyBundle(writeTar([{ name: 'bundle.json', bytes: noise }]), policy).verdict).toBe('failed');
    }
  });

  it('is verified by the command line, with its exit codes', () => {
    const { folder } = exported;
    const file = join(folder, 'b.tar');
    writeFileSync(file, bundle);
    const believed = join(folder, 'policy');
    writeFileSync(
      believed,
      `log ${readFileSync(join(folder, 'log-public-key'), 'utf8').trim()}\nquorum none\n`,
    );
    const lines: string[] = [];
    const out = (line: string): void => void lines.push(line);
    expect(logVerifyBundle(file, { policy: believed, out })).toBe(0);
    expect(lines[0]).toMatch(
      /^bundle verified: run \w{26}, 12 records, in the tree of agents.example.org\/log/,
    );
    expect(logVerifyBundle(file, { out })).toBe(2);
    writeFileSync(file, bundle.subarray(0, 700));
    expect(logVerifyBundle(file, { out })).toBe(1);
  });
});

describe('after an erasure', () => {
  it('the bundle still verifies, discloses nothing of the run, and says which record erased it', async () => {
    const erased = await exportedRun();
    {
      await using log = await openContentLog(erased.folder);
      await log.erase([erased.root, erased.child], 'robin', 'request 12');
    }
    const report = verifyBundle(erased.bundle(), erased.policy);
    expect(report).toMatchObject({ verdict: 'verified', disclosed: 0 });
    expect(report.erased).toEqual([
      { run: erased.root, idx: 15 },
      { run: erased.child, idx: 15 },
    ]);
  });

  it('is done by the command line without a gateway', async () => {
    const { folder: data, root: run, bundle: again, policy: believed } = await exportedRun();
    const config = join(data, 'config.json');
    writeFileSync(
      config,
      JSON.stringify({
        trustDomain: 'agents.example.org',
        data,
        adminPlane: { port: 9 },
        agents: [
          { name: 'a', owner: { kind: 'team', name: 't', contact: 'c' }, purposes: ['x'], tools: ['ops/*'] },
        ],
        attestors: [{ kind: 'join-token' }],
        upstreams: [{ name: 'ops', transport: { kind: 'stdio', command: 'true' } }],
      }),
    );
    const lines: string[] = [];
    const out = (line: string): void => void lines.push(line);
    expect(await logErase(run, { config, reason: 'request 12', tree: true, out })).toBe(0);
    expect(lines[0]).toMatch(/^erased 4 arguments and results of /);
    expect(verifyBundle(again(), believed)).toMatchObject({ verdict: 'verified', disclosed: 0 });
    expect(await logErase('01ARZ3NDEKTSV4RRFFQ69G5FAV', { config, reason: 'x', out })).toBe(1);
  });
});

function swapped(lines: readonly string[], i: number): string[] {
  const j = (i + 1) % lines.length;
  return lines.map((line, k) => (k === i ? (lines[j] ?? '') : k === j ? (lines[i] ?? '') : line));
}
