import { fileURLToPath } from 'node:url';

export type OpsDeskConfigOptions = {
  /** Folder for keys and the intent log. */
  readonly data: string;
  readonly agentPort: number;
  readonly adminPort: number;
  /** MCP endpoint of the ops desk: also the audience of its credentials. */
  readonly opsDeskUrl: string;
  /** MCP endpoint of the reference server `server-everything`. */
  readonly everythingUrl: string;
  /** The one folder that the `files` upstream may touch. */
  readonly scratch: string;
  /** The Node.js that runs the `files` upstream. */
  readonly nodePath: string;
};

const fromHere = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The gateway's configuration for the story, as it would stand in `sallyport.json`. */
export function opsDeskConfig(options: OpsDeskConfigOptions) {
  return {
    trustDomain: 'ops.example',
    data: options.data,
    policies: fromHere('./policies'),
    agentPlane: { host: '127.0.0.1', port: options.agentPort },
    adminPlane: { host: '127.0.0.1', port: options.adminPort },
    agents: [
      {
        name: 'ops-desk-agent',
        owner: { kind: 'team', name: 'operations', contact: 'operations@ops.example' },
        purposes: ['refund-desk'],
        tools: ['ops-desk/*', 'files/*', 'everything/*'],
        maxCalls: 100,
        maxDepth: 1,
        maxRunSeconds: 900,
      },
    ],
    attestors: [{ kind: 'join-token', name: 'join-token' }],
    upstreams: [
      {
        name: 'ops-desk',
        transport: { kind: 'http', url: options.opsDeskUrl },
        credential: { kind: 'call-token', audience: options.opsDeskUrl },
        tools: {
          list_inbox: { labels: ['untrusted'] },
          read_mail: { labels: ['untrusted'] },
          find_customer: { labels: ['private'] },
        },
      },
      {
        name: 'files',
        transport: {
          kind: 'stdio',
          command: options.nodePath,
          args: [
            fromHere('../../../node_modules/@modelcontextprotocol/server-filesystem/dist/index.js'),
            options.scratch,
          ],
        },
      },
      { name: 'everything', transport: { kind: 'http', url: options.everythingUrl } },
    ],
  };
}
