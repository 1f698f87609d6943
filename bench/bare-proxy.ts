// The yardstick: what it costs Node.js to pass a request on and stream the answer back, and nothing else.
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { argv } from 'node:process';
import { announce } from './announce.ts';

const upstream = new URL(String(argv[2]));
const agent = new Agent({ keepAlive: true, maxSockets: 256 });

function relay(req: IncomingMessage, res: ServerResponse): void {
  const forwarded = request(
    {
      agent,
      host: upstream.hostname,
      port: upstream.port,
      path: upstream.pathname,
      method: req.method,
      headers: { ...req.headers, host: upstream.host },
    },
    (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(res);
    },
  );
  forwarded.on('error', (error) => {
    if (!res.headersSent) res.writeHead(502);
    res.end(error.message);
  });
  req.pipe(forwarded);
}

announce(createServer(relay));
