import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { freePort } from '../../examples/upstreams/everything.ts';

const root = resolve(import.meta.dirname, '../..');

it('npm start -- --once tells the whole story and exits 0', { timeout: 120_000 }, async () => {
  const args = ['--conditions=sallyport-source', join(root, 'examples/start/main.ts'), '--once'];
  const ports = ['--port', String(await freePort()), '--admin-port', String(await freePort())];
  const { code, stdout } = await new Promise<{ code: number; stdout: string }>((done) => {
    const child = execFile(
      process.execPath,
      [...args, ...ports],
      { cwd: root, timeout: 90_000 },
      (_error, text) => done({ code: child.exitCode ?? -1, stdout: text }),
    );
  });
  expect(stdout).toMatch(/✓ ops-desk-agent +ops-desk\/issue_refund .*credential 01/);
  expect(stdout).toMatch(/✓ ops-desk-agent +files\/write_file/);
  expect(stdout).toMatch(/✓ ops-desk-agent +everything\/echo/);
  expect(stdout).toMatch(/✗ ops-desk-agent +ops-desk\/create_payment .*no-payment-after-untrusted-text/);
  expect(stdout).toMatch(/✗ ops-desk-agent › sub-agent +ops-desk\/issue_refund .*outside_envelope/);
  expect(stdout).toMatch(/✗ nobody +ops-desk\/tools\/call .*run_over/);
  expect(stdout).toContain('Payments and mails that got through: 0');
  expect(stdout).toMatch(/log verified: \d+ records, checkpoint ops\.example\/log size \d+ root /);
  expect(stdout).toContain('story: as it must be');
  expect(code).toBe(0);
});

it('npm start names the port that is in use and the way out', { timeout: 60_000 }, async () => {
  const { createServer } = await import('node:net');
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  const args = [
    '--conditions=sallyport-source',
    join(root, 'examples/start/main.ts'),
    '--once',
    '--port',
    String(port),
  ];
  const result = await new Promise<{ code: number; stdout: string }>((done) => {
    const child = execFile(process.execPath, args, { cwd: root, timeout: 50_000 }, (_error, stdout) =>
      done({ code: child.exitCode ?? -1, stdout }),
    );
  });
  server.close();
  expect(result.stdout).toMatch(
    new RegExp(`ERR_PORT_IN_USE: 127\\.0\\.0\\.1:${port} is in use; .*agentPlane\\.port`),
  );
  expect(result.stdout).not.toContain('    at ');
  expect(result.code).toBe(1);
});
