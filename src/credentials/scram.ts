import { createHash, createHmac, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';

const ITERATIONS = 4096;
const KEY_BYTES = 32;

/**
 * What PostgreSQL stores in place of a password (RFC 5803, SCRAM-SHA-256), so that the password itself is in no
 * statement and no server log. The password must be ASCII: other text would have to be prepared (RFC 4013).
 */
export async function scramVerifier(password: string, salt: Buffer): Promise<string> {
  const salted = await promisify(pbkdf2)(password, salt, ITERATIONS, KEY_BYTES, 'sha256');
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64');
  const serverKey = hmac('Server Key').toString('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
