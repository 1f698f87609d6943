import type { Config } from './config.ts';
import { isLoopback } from './loopback.ts';

/** Where agents reach the agent plane. */
export function publicUrlOf(config: Config): string {
  return config.publicUrl ?? urlOf(config.agentPlane);
}

/** Where the admin plane listens. */
export function adminUrlOf(config: Config): string {
  return urlOf(config.adminPlane);
}

/** The names a listener may be called by; on loopback, loopback's other names too. */
export function hostsOf(url: string, { host, port }: Config['agentPlane']): string[] {
  const names = [new URL(url).host, `${host}:${port}`];
  return isLoopback(host) ? [...names, `localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`] : names;
}

function urlOf({ host, port }: Config['agentPlane']): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
