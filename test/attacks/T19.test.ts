import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { post, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { asUpstream, startWitness, type Witness } from '../support/witness.ts';

const SOURCE = resolve(import.meta.dirname, '../../src');
const HOSTILE = 'file:///etc/passwd?$(touch /tmp/pwned)`id`&calc.exe';

let witness: Witness;
let lab: Lab;

beforeAll(async () => {
  witness = await startWitness();
  lab = await openLab({ upstreams: [asUpstream(witness)] });
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

async function sourceFiles(): Promise<{ file: string; text: string }[]> {
  const files = (await readdir(SOURCE, { recursive: true })).filter((file) => file.endsWith('.ts'));
  return Promise.all(files.map(async (file) => ({ file, text: await readFile(join(SOURCE, file), 'utf8') })));
}

describe('T19: an authorization URL from a server', () => {
  it('reaches no program: two files of the source start processes, without a shell', async () => {
    const files = await sourceFiles();
    expect(files.length).toBeGreaterThan(100);
    const starters = files.filter(({ text }) => /child_process|node:cluster|process\.binding/.test(text));
    expect(starters.map(({ file }) => file).sort()).toEqual([
      'gateway/upstream/stdio-child.ts',
      'identity/kms-command.ts', // only what the configuration names, before anybody can connect
    ]);
    for (const { file, text } of starters) {
      expect(text, file).toMatch(/import \{ type \w+, spawn \} from 'node:child_process'/);
      expect(text.match(/spawn\(/g), file).toHaveLength(1);
      expect(text, file).toContain('shell: false');
    }
  });

  it('reaches no browser: nothing opens one, and nothing evaluates text', async () => {
    for (const { file, text } of await sourceFiles()) {
      expect(text, file).not.toMatch(
        /xdg-open|start-process|rundll32|from 'open'|(?<!redis\.)\beval\(|new Function\(/i,
      );
    }
  });

  it('in a challenge is dropped: the agent gets neither the URL nor the challenge', async () => {
    await using run = await lab.startRun();
    witness.answer = (_, response) => {
      response.writeHead(401, {
        'www-authenticate': `Bearer authorization_uri="${HOSTILE}", resource_metadata="${HOSTILE}"`,
      });
      response.end(JSON.stringify({ authorization_endpoint: HOSTILE }));
    };
    const response = await post(run, toolCall('look'));
    expect(response.status).toBe(502);
    expect(response.headers.get('www-authenticate')).toBeNull();
    expect(await response.text()).not.toContain('file:');
  });

  it('in a question of the server goes to the client as the text it is', async () => {
    await using run = await lab.startRun();
    const question = {
      jsonrpc: '2.0',
      id: 'q',
      method: 'elicitation/create',
      params: { mode: 'url', url: HOSTILE, elicitationId: 'e', message: 'log in' },
    };
    witness.answer = ({ message }, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify(question)}\n\n`);
      response.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id: message['id'], result: {} })}\n\n`);
    };
    const text = await (await post(run, toolCall('look'))).text();
    expect(JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? '')).toEqual(question);
  });
});
