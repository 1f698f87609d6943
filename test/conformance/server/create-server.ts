import { createRequestStateCodec, McpServer } from '@modelcontextprotocol/server';
import { addAskingTools } from './asking-tools.ts';
import { addContentTools } from './content-tools.ts';
import { addInputRequiredTools, type RoundState } from './input-required-tools.ts';
import { addPrompts } from './prompts.ts';
import { addResources } from './resources.ts';
import { type Announce, addTalkingTools } from './talking-tools.ts';

const states = createRequestStateCodec<RoundState>({ key: crypto.getRandomValues(new Uint8Array(32)) });

/**
 * A server with everything that the conformance suite asks for, for both eras and every transport. Without
 * `announce` it tells its own client about changed lists.
 */
export function createConformanceServer(announce?: Announce): McpServer {
  const server = new McpServer(
    { name: 'conformance', version: '1.0.0' },
    {
      capabilities: { logging: {}, resources: { subscribe: true, listChanged: true } },
      instructions: 'a server with everything that the conformance suite asks for',
      requestState: { verify: states.verify },
    },
  );
  addContentTools(server);
  addTalkingTools(
    server,
    announce ?? {
      toolsChanged: () => server.sendToolListChanged(),
      promptsChanged: () => server.sendPromptListChanged(),
    },
  );
  addAskingTools(server);
  addInputRequiredTools(server, states);
  addResources(server);
  addPrompts(server);
  return server;
}
