import type { Server } from 'node:http';

/** Binds a free loopback port and says so in one line on stdout, for the process that started this one. */
export function announce(server: Server): void {
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port was bound');
    process.stdout.write(`${JSON.stringify({ port: address.port })}\n`);
  });
  // A regular exit, so that a CPU profile is written.
  process.once('SIGTERM', () => process.exit(0));
  // Whoever started this one is gone.
  process.once('disconnect', () => process.exit(0));
}
