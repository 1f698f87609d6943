import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** A certificate with its private key, as PEM and as bytes. */
export type TestCertificate = { readonly cert: string; readonly key: string; readonly der: Buffer };

export type LeafOptions = {
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly isCa?: boolean;
  /** First byte of the key usage; 0x80 is digitalSignature. Null leaves the extension out. */
  readonly keyUsage?: number | null;
  readonly purposes?: readonly string[];
  readonly criticalExtension?: string;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
};

/** A certificate authority for tests, that signs whatever it is asked to. */
export type TestCa = TestCertificate & { readonly issue: (leaf: LeafOptions) => TestCertificate };

export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
export const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const ECDSA_SHA256 = '1.2.840.10045.4.3.2';

export function createTestCa(name: string): TestCa {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const own = certify({ isCa: true, keyUsage: 0x06, purposes: [] }, name, keys, name, keys.privateKey);
  return {
    ...own,
    issue: (leaf) => {
      const leafKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      return certify(leaf, 'workload', leafKeys, name, keys.privateKey);
    },
  };
}

function certify(
  options: LeafOptions,
  subject: string,
  { publicKey, privateKey }: { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
  issuer: string,
  issuerKey: KeyObject,
): TestCertificate {
  const { notBefore = new Date(Date.now() - 60_000), notAfter = new Date(Date.now() + 3_600_000) } = options;
  const algorithm = seq(oid(ECDSA_SHA256));
  const tbs = seq(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    commonName(issuer),
    seq(time(notBefore), time(notAfter)),
    commonName(subject),
    publicKey.export({ format: 'der', type: 'spki' }),
    der(0xa3, seq(...extensionsOf(options))),
  );
  const signature = sign('sha256', tbs, issuerKey);
  const bytes = seq(tbs, algorithm, der(0x03, Buffer.from([0]), signature));
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return {
    der: bytes,
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

function extensionsOf(options: LeafOptions): Buffer[] {
  const { uris = [], dnsNames = [], isCa = false, keyUsage = 0x80, purposes = [CLIENT_AUTH] } = options;
  const names = [
    ...uris.map((uri) => der(0x86, Buffer.from(uri, 'latin1'))),
    ...dnsNames.map((name) => der(0x82, Buffer.from(name, 'latin1'))),
  ];
  return [
    extension('2.5.29.19', isCa ? seq(der(0x01, Buffer.from([0xff]))) : seq(), true),
    ...(keyUsage === null ? [] : [extension('2.5.29.15', der(0x03, Buffer.from([0, keyUsage])), true)]),
    ...(purposes.length === 0 ? [] : [extension('2.5.29.37', seq(...purposes.map(oid)))]),
    ...(names.length === 0 ? [] : [extension('2.5.29.17', seq(...names))]),
    ...(options.criticalExtension === undefined ? [] : [extension(options.criticalExtension, seq(), true)]),
  ];
}

function extension(id: string, value: Buffer, isCritical = false): Buffer {
  return seq(oid(id), ...(isCritical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, value));
}

function commonName(name: string): Buffer {
  return seq(der(0x31, seq(oid('2.5.4.3'), der(0x0c, Buffer.from(name)))));
}

function time(date: Date): Buffer {
  return der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`));
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((part) => {
    const digits = [part & 0x7f];
    for (let left = part >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return der(0x06, Buffer.from(bytes));
}

function seq(...parts: Buffer[]): Buffer {
  return der(0x30, ...parts);
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const length = content.length;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const size = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}
