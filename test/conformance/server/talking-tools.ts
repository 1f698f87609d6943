import { setTimeout as sleep } from 'node:timers/promises';
import type { McpServer, ServerContext } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { text } from './content.ts';

const none = z.object({});
const PAUSE_MS = 50;
/** How long a tool works after it closed its stream, and where it cannot, until the gateway has done so. */
const RECONNECT_MS = 300;
const PATIENCE_MS = 1500;

/** What a server tells subscribers of the modern era, where it is built anew for each request. */
export type Announce = { readonly toolsChanged: () => void; readonly promptsChanged: () => void };

/** Tools that say something before they answer: progress, log messages, changed lists, a closed stream. */
export function addTalkingTools(server: McpServer, announce: Announce): void {
  server.registerTool(
    'test_tool_with_progress',
    { description: 'Reports progress', inputSchema: none },
    async (_, context) => {
      for (const progress of [0, 50, 100]) {
        await reportProgress(progress, context);
        if (progress < 100) await sleep(PAUSE_MS);
      }
      return { content: [text('Tool with progress completed')] };
    },
  );
  server.registerTool(
    'test_tool_with_logging',
    { description: 'Logs while it works', inputSchema: none },
    async (_, { mcpReq }) => {
      await mcpReq.log('info', 'Tool execution started');
      await sleep(PAUSE_MS);
      await mcpReq.log('info', 'Tool processing data');
      await sleep(PAUSE_MS);
      await mcpReq.log('info', 'Tool execution completed');
      return { content: [text('Tool with logging completed')] };
    },
  );
  server.registerTool(
    'test_logging_tool',
    { description: 'Logs if it was asked to', inputSchema: none },
    async (_, { mcpReq }) => {
      await mcpReq.log('info', 'logged only when the request sets a level');
      return { content: [text('done')] };
    },
  );
  server.registerTool(
    'test_reconnection',
    { description: 'Closes its stream and answers on the next one', inputSchema: none },
    async (_, { http }) => {
      http?.closeSSE?.();
      await sleep(http?.closeSSE === undefined ? PATIENCE_MS : RECONNECT_MS);
      return { content: [text('Reconnection test completed')] };
    },
  );
  server.registerTool(
    'test_trigger_tool_change',
    { description: 'Announces changed tools', inputSchema: none },
    () => {
      announce.toolsChanged();
      return { content: [text('announced')] };
    },
  );
  server.registerTool(
    'test_trigger_prompt_change',
    { description: 'Announces changed prompts', inputSchema: none },
    () => {
      announce.promptsChanged();
      return { content: [text('announced')] };
    },
  );
}

async function reportProgress(progress: number, { mcpReq }: ServerContext): Promise<void> {
  const progressToken = mcpReq._meta?.progressToken;
  if (progressToken === undefined) return;
  const params = { progressToken, progress, total: 100, message: `Completed step ${progress} of 100` };
  await mcpReq.notify({ method: 'notifications/progress', params });
}
