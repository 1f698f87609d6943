import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { createConformanceServer } from './create-server.ts';

// A program of its own: the conformance server over stdio.
serveStdio(() => createConformanceServer());
