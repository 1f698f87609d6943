import { type CallToolResult, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Desk } from './desk.ts';

const READS = { readOnlyHint: true, openWorldHint: false };
const MOVES_MONEY = { readOnlyHint: false, destructiveHint: true, idempotentHint: false };

const Cents = z.int().min(1).max(100_000_000).describe('Amount in euro cents.');
const InvoiceNumber = z.string().max(20).describe('Such as INV-1042.');
const MailHead = z.object({ id: z.string(), from: z.string(), subject: z.string(), received_at: z.string() });
const Customer = z.object({ id: z.string(), name: z.string(), email: z.string(), city: z.string() });
const Invoice = z.object({
  number: z.string(),
  customer: z.string(),
  amount_cents: z.int(),
  refunded_cents: z.int(),
  status: z.enum(['open', 'paid']),
});

/** The ops desk as an MCP server, one for each request: inbox, customers, invoices, money, mail. */
export function createOpsDeskServer(desk: Desk): McpServer {
  const server = new McpServer(
    { name: 'ops-desk', version: '1.0.0' },
    { instructions: 'Inbox, customers, invoices and payments of the operations desk.' },
  );
  registerReads(server, desk);
  registerActions(server, desk);
  return server;
}

function registerReads(server: McpServer, desk: Desk): void {
  server.registerTool(
    'list_inbox',
    {
      title: 'List inbox',
      description: 'Lists the mails in the inbox of the desk, oldest first.',
      inputSchema: z.object({}),
      outputSchema: z.object({ mails: z.array(MailHead) }),
      annotations: READS,
    },
    () => structured({ mails: desk.inbox() }),
  );
  server.registerTool(
    'read_mail',
    {
      title: 'Read mail',
      description: 'Returns one mail with its text.',
      inputSchema: z.object({ id: z.string().max(40).describe('Id from list_inbox.') }),
      outputSchema: MailHead.extend({ body: z.string() }),
      annotations: READS,
    },
    ({ id }) => found(desk.mail(id), 'no mail has this id'),
  );
  server.registerTool(
    'find_customer',
    {
      title: 'Find customer',
      description: 'Finds customers by part of their name, mail address or number.',
      inputSchema: z.object({ query: z.string().max(100) }),
      outputSchema: z.object({ customers: z.array(Customer) }),
      annotations: READS,
    },
    ({ query }) => structured({ customers: desk.customers(query) }),
  );
  server.registerTool(
    'get_invoice',
    {
      title: 'Get invoice',
      description: 'Returns one invoice and what was refunded of it.',
      inputSchema: z.object({ number: InvoiceNumber }),
      outputSchema: Invoice,
      annotations: READS,
    },
    ({ number }) => found(desk.invoice(number), 'no invoice has this number'),
  );
}

function registerActions(server: McpServer, desk: Desk): void {
  server.registerTool(
    'issue_refund',
    {
      title: 'Issue refund',
      description: 'Pays money of an invoice back to the account it came from.',
      inputSchema: z.object({ invoice: InvoiceNumber, amount_cents: Cents, reason: z.string().max(200) }),
      annotations: { ...MOVES_MONEY, openWorldHint: false },
    },
    (refund) =>
      desk.refund(refund)
        ? text(`refunded ${euros(refund.amount_cents)} of ${refund.invoice}`)
        : failed('there is no such invoice, or less than this is left of it'),
  );
  server.registerTool(
    'create_payment',
    {
      title: 'Create payment',
      description: 'Sends money to any bank account.',
      inputSchema: z.object({
        iban: z.string().max(34),
        amount_cents: Cents,
        reference: z.string().max(140),
      }),
      annotations: { ...MOVES_MONEY, openWorldHint: true },
    },
    (payment) => {
      desk.pay(payment);
      return text(`paid ${euros(payment.amount_cents)} to ${payment.iban}`);
    },
  );
  server.registerTool(
    'send_mail',
    {
      title: 'Send mail',
      description: 'Sends a mail to any address.',
      inputSchema: z.object({
        to: z.string().max(254),
        subject: z.string().max(200),
        body: z.string().max(20_000),
      }),
      annotations: {
        readOnlyHint: false,
        destructiveHint: false,
        idempotentHint: false,
        openWorldHint: true,
      },
    },
    ({ to, subject, body }) => {
      desk.send({ recipient: to, subject, body });
      return text(`sent to ${to}`);
    },
  );
}

function structured(value: Record<string, unknown>): CallToolResult {
  return { content: [{ type: 'text', text: JSON.stringify(value) }], structuredContent: value };
}

function found(value: Record<string, unknown> | undefined, otherwise: string): CallToolResult {
  return value === undefined ? failed(otherwise) : structured(value);
}

function text(value: string): CallToolResult {
  return { content: [{ type: 'text', text: value }] };
}

function failed(reason: string): CallToolResult {
  return { ...text(reason), isError: true };
}

function euros(cents: number): string {
  return `EUR ${(cents / 100).toFixed(2)}`;
}
