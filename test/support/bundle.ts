import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CallId, canonicalJson, type RunId, sha256 } from '../../src/base/index.ts';
import { logExport } from '../../src/cli/log-bundle.ts';
import { parseTlogPolicy, type TlogPolicy } from '../../src/intent-log/index.ts';
import { openContentLog } from './content-log.ts';
import { intent, newCall, newRun, outcome, refusal, runClose, runOpen } from './records.ts';
import { temporaryFolder } from './temporary-folder.ts';

export const POLICIES = JSON.stringify([
  'catalogue',
  [['read-inbox', 'permit (principal, action, resource);']],
]);
export const TOOL = { name: 'list_inbox', description: 'Lists mails.', inputSchema: { type: 'object' } };

export type ExportedRun = {
  readonly folder: string;
  readonly root: RunId;
  readonly child: RunId;
  readonly calls: readonly CallId[];
  readonly policy: TlogPolicy;
  readonly bundle: () => Buffer;
};

/** A log with a run, its sub-agent and a run of somebody else; `result` is what the tool answered. */
export async function exportedRun(
  result = '{"content":[]}',
  purpose = 'support',
  folder = temporaryFolder(),
): Promise<ExportedRun> {
  const [root, child, stranger] = [newRun(), newRun(), newRun()];
  const calls = [newCall(), newCall(), newCall()] as const;
  keepDefinition(folder, POLICIES);
  keepDefinition(folder, canonicalJson(TOOL));
  const pin = sha256(canonicalJson(TOOL));
  const revision = sha256(POLICIES).slice(0, 16);
  const decision = { effect: 'permit', policies: ['read-inbox'], revision } as const;
  const subject = {
    upstream: 'ops',
    method: 'tools/call',
    tool: 'list_inbox',
    pin,
    args: { text: '{"n":1}' },
  };
  {
    await using log = await openContentLog(folder);
    await log.append({ type: 'boot', version: '0.1.0', config: 'digest' });
    await log.append({
      type: 'policyset.load',
      revision,
      policies: ['read-inbox'],
      digest: sha256(POLICIES),
    });
    await log.append({
      type: 'toolset.pin',
      upstream: 'ops',
      digest: 'd',
      tools: { list_inbox: pin },
      by: 'robin',
    });
    await log.append(runOpen(root, { purpose }));
    await log.append(runOpen(stranger));
    for (const [run, call] of [
      [root, calls[0]],
      [stranger, newCall()],
    ] as const) {
      const { leaf } = await log.append({ ...intent(run, call), subject, decision });
      await log.append({ ...outcome(run, call, leaf), result: { text: result } });
    }
    await log.append(runOpen(child, { parent: root, root, depth: 1 }));
    const inChild = await log.append({ ...intent(child, calls[1]), subject, decision });
    await log.append({ ...outcome(child, calls[1], inChild.leaf), result: { text: '{"content":[1]}' } });
    await log.append(refusal(root, calls[2], { decision: { ...decision, effect: 'forbid', reason: 'no' } }));
    await log.append(runClose(child));
    await log.append(runClose(root));
  }
  const key = readFileSync(join(folder, 'log-public-key'), 'utf8');
  const policy = parseTlogPolicy(`log ${key.trim()}\nquorum none\n`);
  if (!policy.ok) throw new Error(policy.error);
  return {
    folder,
    root,
    child,
    calls,
    policy: policy.value,
    bundle() {
      const file = join(folder, 'bundle.tar');
      const code = logExport(child, { folder, bundle: file, content: true, out: () => undefined });
      if (code !== 0) throw new Error('nothing was exported');
      return readFileSync(file);
    },
  };
}

function keepDefinition(folder: string, text: string): void {
  mkdirSync(join(folder, 'definitions'), { recursive: true });
  writeFileSync(join(folder, 'definitions', sha256(text)), text);
}
