import { constants } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { Server as HttpServer } from 'node:http';
import { Server } from 'node:https';
import { createSecureContext, TLSSocket } from 'node:tls';
import type { FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { SallyportError } from '../base/index.ts';
import {
  parseTrustAnchors,
  parseTrustDomain,
  parseX509Svid,
  type TrustDomain,
  type X509Svid,
} from '../identity/index.ts';
import type { TlsListenerConfig } from './config-identity.ts';

/** How a listener speaks TLS with the agents of one trust domain. */
export type TlsSettings = {
  readonly trustDomain: TrustDomain;
  /** Options of `node:https`. */
  readonly https: {
    readonly cert: Buffer;
    readonly key: Buffer;
    readonly ca: readonly string[];
    readonly requestCert: true;
    readonly rejectUnauthorized: true;
    readonly minVersion: 'TLSv1.2';
    readonly secureOptions: number;
  };
};

const OTHERS = 0o077;
const REREAD_MILLIS = 5_000;

/** Reads certificate, key and bundle of a listener. Throws `ERR_CONFIG_INVALID` or `ERR_KEY_INVALID`. */
export function readTlsSettings(config: TlsListenerConfig): TlsSettings {
  const trustDomain = parseTrustDomain(config.trustDomain);
  if (trustDomain === undefined) throw new SallyportError('ERR_CONFIG_INVALID', 'tlsListeners.trustDomain');
  const key = readFile(config.key, 'key');
  if ((statSync(config.key).mode & OTHERS) !== 0) {
    throw new SallyportError(
      'ERR_KEY_INVALID',
      `${config.key} can be read by others; run: chmod 600 ${config.key}`,
    );
  }
  return {
    trustDomain,
    https: {
      cert: readFile(config.certificate, 'certificate'),
      key,
      ca: readAnchors(config.bundle), // only these: a certificate of another domain does not get a connection
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      secureOptions: constants.SSL_OP_NO_TICKET, // each connection shows its certificate and has it verified anew
    },
  };
}

/** Follows the bundle of a listener: connections from then on are verified by the new one. */
export function followBundle(
  server: HttpServer | Server,
  config: TlsListenerConfig,
  log: Logger,
): Disposable {
  let text = readFile(config.bundle, 'bundle').toString();
  const timer = setInterval(() => {
    try {
      const now = readFile(config.bundle, 'bundle').toString();
      if (now === text) return;
      const { https } = readTlsSettings(config);
      createSecureContext({ ...https, ca: [...https.ca] }); // throws before anything is replaced
      if (server instanceof Server) server.setSecureContext({ ...https, ca: [...https.ca] });
      server.closeAllConnections(); // those that stand were verified by what is no longer trusted
      text = now;
    } catch (error) {
      log.error(
        { err: error, trustDomain: config.trustDomain },
        'bundle not read; the old one stays in force',
      );
    }
  }, REREAD_MILLIS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/**
 * The X509-SVID of a request's connection; undefined when the certificate is none. It is read once for each
 * connection: TLS has verified its chain by then.
 */
export function createSvidReader(
  trustDomain: TrustDomain,
  log: Logger,
): (request: FastifyRequest) => X509Svid | undefined {
  const known = new WeakMap<object, X509Svid | undefined>();
  return ({ raw: { socket } }) => {
    if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
    if (known.has(socket)) return known.get(socket);
    const certificate = socket.getPeerX509Certificate();
    const svid = certificate === undefined ? undefined : parseX509Svid(certificate.raw, trustDomain);
    if (svid?.ok === false) log.warn({ reason: svid.error, trustDomain }, 'client certificate refused');
    const found = svid?.ok === true ? svid.value : undefined;
    known.set(socket, found);
    return found;
  };
}

function readAnchors(file: string): readonly string[] {
  try {
    return parseTrustAnchors(readFileSync(file, 'utf8'));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'cannot be read';
    throw new SallyportError('ERR_CONFIG_INVALID', `tlsListeners.bundle: ${file} ${why}`, { cause });
  }
}

function readFile(file: string, field: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new SallyportError('ERR_CONFIG_INVALID', `tlsListeners.${field}: cannot read ${file} (${code})`, {
      cause,
    });
  }
}
