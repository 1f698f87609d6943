import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from '../base/index.ts';
import type { PolicySource, Problem } from './policy-text.ts';

const MAX_FILES = 1_000;

/** Reads `*.cedar` of a folder, in the order of their names; subfolders are not looked into. */
export async function readPolicyFolder(
  folder: string,
): Promise<Result<readonly PolicySource[], readonly Problem[]>> {
  const problems: Problem[] = [];
  const sources: PolicySource[] = [];
  try {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.cedar')).sort();
    if (names.length > MAX_FILES) return err([atFile(folder, `has more than ${MAX_FILES} policy files`)]);
    for (const name of names) {
      const file = join(folder, name);
      const source = await readSource(file);
      if (source.ok) sources.push(source.value);
      else problems.push(source.error);
    }
  } catch (error) {
    problems.push(atFile(folder, `cannot be read: ${String(error)}`));
  }
  return problems.length === 0 ? ok(sources) : err(problems);
}

async function readSource(file: string): Promise<Result<PolicySource, Problem>> {
  try {
    const bytes = await readFile(file);
    return ok({ file, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) });
  } catch (error) {
    return err(
      atFile(file, error instanceof TypeError ? 'is not UTF-8 text' : `cannot be read: ${String(error)}`),
    );
  }
}

function atFile(file: string, message: string): Problem {
  return { file, line: 1, column: 1, message };
}
