import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { err, ok, type Result, SallyportError } from '../base/index.ts';
import { parseSealingKey, type SealingKey } from './key-seal.ts';

/** A program that asks a KMS to unwrap a key: the wrapped key on its standard input, the key on its output. */
export type KmsCommand = {
  /** Path of the program and its arguments, as they are: no shell reads them. */
  readonly command: readonly string[];
  /** File with the wrapped key, whatever the KMS made of it. */
  readonly wrappedKey: string;
  readonly timeoutMs: number;
  /** The whole environment of the program. */
  readonly environment: Readonly<Record<string, string>>;
};

/** A key is 44 bytes in base64; a program that writes more than this answers something else. */
const MAX_OUTPUT_BYTES = 1024;

/**
 * The sealing key by a program, which is run once. It must end with exit code 0, in time, after writing 32 bytes in
 * base64 and nothing else. Throws `ERR_KEY_INVALID`, and never says what the program wrote.
 */
export async function openSealingKeyByCommand(kms: KmsCommand): Promise<SealingKey> {
  const wrapped = await readFile(kms.wrappedKey).catch((error: NodeJS.ErrnoException) => {
    throw invalid(
      `keys.kms.wrappedKey: cannot be read (${error.code}); it must be the key as the KMS wrapped it`,
    );
  });
  const answer = await run(kms, wrapped);
  if (!answer.ok) throw invalid(`keys.kms.command: ${answer.error}`);
  const key = parseSealingKey(answer.value.toString('latin1'));
  answer.value.fill(0);
  if (key === undefined) throw invalid('keys.kms.command: must write 32 bytes in base64 and nothing else');
  return { key, source: 'the key of keys.kms' };
}

/** What the program wrote, or why that counts for nothing. Ends its whole process group when it is too slow. */
function run(kms: KmsCommand, input: Buffer): Promise<Result<Buffer, string>> {
  const [program = '', ...args] = kms.command;
  const child = spawn(program, args, {
    shell: false,
    detached: true, // a group of its own, so that all of it can be ended
    env: kms.environment,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (result: Result<Buffer, string>): void => {
      clearTimeout(late);
      resolve(result);
      for (const chunk of chunks) chunk.fill(0);
    };
    const cutOff = (why: string): void => {
      end(child);
      settle(err(why));
    };
    const late = setTimeout(() => cutOff(`did not end within ${kms.timeoutMs / 1000} s`), kms.timeoutMs);
    child.on('error', (error: NodeJS.ErrnoException) => settle(err(`cannot be started (${error.code})`)));
    child.stdin.on('error', () => undefined); // it need not read
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_OUTPUT_BYTES) cutOff(`wrote more than ${MAX_OUTPUT_BYTES} bytes`);
      else chunks.push(chunk);
    });
    child.on('close', (code, signal) => {
      const isGood = code === 0;
      settle(isGood ? ok(Buffer.concat(chunks)) : err(`ended with ${signal ?? `exit code ${code}`}`));
    });
    child.stdin.end(input);
  });
}

function end(child: ChildProcess): void {
  child.stdout?.destroy();
  child.stdin?.destroy();
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // the group is gone, as it should be
  }
}

function invalid(message: string): SallyportError {
  return new SallyportError('ERR_KEY_INVALID', message);
}
