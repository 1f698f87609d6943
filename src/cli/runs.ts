import { request } from 'undici';
import { z } from 'zod';
import { SallyportError, systemClock } from '../base/index.ts';
import {
  adminUrlOf,
  operatorKeyFile,
  RevokeResult,
  RunList,
  readOperatorKey,
  signOperatorToken,
} from '../gateway/index.ts';
import { loadConfig } from './load-config.ts';
import { openSealer } from './open-sealing-key.ts';

type Output = { readonly out: (line: string) => void };

/** Prints the live runs. */
export async function listRuns({ config, out }: { config: string } & Output): Promise<number> {
  const { runs } = RunList.parse(await callAdmin(config, 'GET', '/v1/runs'));
  for (const run of runs) {
    const left = run.expiresAt - Math.floor(systemClock() / 1000);
    out(
      `${run.run}  ${run.agent}  owner ${run.owner}  ${run.purpose}  ${left} s left${run.parent ? `  of ${run.parent}` : ''}`,
    );
  }
  out(`${runs.length} live ${runs.length === 1 ? 'run' : 'runs'}`);
  return 0;
}

/** Ends a run and its descendants; returns once that is in force and in the log. */
export async function revokeRun(
  options: { config: string; run: string; reason: string } & Output,
): Promise<number> {
  const path = `/v1/runs/${encodeURIComponent(options.run)}/revoke`;
  const { revoked } = RevokeResult.parse(
    await callAdmin(options.config, 'POST', path, { reason: options.reason }),
  );
  options.out(`revoked ${revoked.join(', ')}`);
  return 0;
}

const AdminError = z.object({ error: z.string() });

/** One request to the admin plane of the running gateway, with the local operator's key. */
export async function callAdmin(
  configFile: string,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<unknown> {
  const config = await loadConfig(configFile);
  const url = adminUrlOf(config);
  const key = readOperatorKey(config.data, await openSealer(config));
  if (key === undefined) {
    const file = operatorKeyFile(config.data);
    const fix = 'start the gateway once, and run this as its user';
    throw new SallyportError('ERR_KEY_INVALID', `cannot read ${file} (ENOENT); ${fix}`);
  }
  const token = await signOperatorToken(key, url, systemClock);
  const answer = await request(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
    body: body ? JSON.stringify(body) : null,
  }).catch((error: Error) => {
    throw new SallyportError(
      'ERR_REQUEST_REFUSED',
      `the admin plane at ${url} does not answer; is the gateway running?`,
      { cause: error },
    );
  });
  const value: unknown = await answer.body.json();
  if (answer.statusCode >= 400) {
    const parsed = AdminError.safeParse(value);
    throw new SallyportError(
      'ERR_REQUEST_REFUSED',
      parsed.success ? parsed.data.error : `status ${answer.statusCode}`,
    );
  }
  return value;
}
