import { KeyChanges, KeyList } from '../gateway/index.ts';
import { callAdmin } from './runs.ts';

type Asked = { readonly config: string; readonly out: (line: string) => void };

/** Prints the signing keys of the running gateway. */
export async function listKeys({ config, out }: Asked): Promise<number> {
  const { keys } = KeyList.parse(await callAdmin(config, 'GET', '/v1/keys'));
  for (const { kid, gateway, state, createdAt, retiredAt } of keys) {
    const retired = retiredAt === undefined ? '' : `, retired ${new Date(retiredAt).toISOString()}`;
    const whose = gateway === undefined ? '' : `, at ${gateway}`;
    out(`${kid}  ${state.padEnd(7)}  created ${new Date(createdAt).toISOString()}${retired}${whose}`);
  }
  return 0;
}

/** Lets the next key sign from now on. */
export async function rotateKeys({ config, out }: Asked): Promise<number> {
  return printChanges(await callAdmin(config, 'POST', '/v1/keys/rotate'), out);
}

/** Takes a key away at once: nothing it signed is accepted any more. */
export async function removeKey({ config, kid, out }: Asked & { readonly kid: string }): Promise<number> {
  return printChanges(await callAdmin(config, 'POST', `/v1/keys/${encodeURIComponent(kid)}/remove`), out);
}

function printChanges(answer: unknown, out: Asked['out']): number {
  for (const { kid, change } of KeyChanges.parse(answer).changes) out(`${kid}  ${change}`);
  return 0;
}
