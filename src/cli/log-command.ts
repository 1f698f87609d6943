import type { Command } from 'commander';
import { SallyportError } from '../base/index.ts';
import { logList, logShow, logVerify } from './log.ts';
import { logExport, logVerifyBundle } from './log-bundle.ts';
import { logCopy, logRestore, type RestoreFlags } from './log-copy.ts';
import { type EraseFlags, logErase, logPrune } from './log-erase.ts';
import { logFollowRemote } from './log-follow-remote.ts';
import { logBegin, logRotateKey, type NewLogFlags, type RotateLogKeyFlags } from './log-key.ts';
import { logCheckProof, logProve } from './log-prove.ts';
import { logFollow, logQuery } from './log-query.ts';
import { logProveReceipt, logVerifyReceipt } from './log-receipt.ts';
import { logReconcile } from './log-reconcile.ts';
import { logDiff } from './replay.ts';
import { signalled } from './signalled.ts';

type Done = (code: number) => void;
type Out = (line: string) => void;

const mirror = [
  '--mirror <url>',
  'ask the database of a mirror instead: postgres://USER@HOST/DATABASE, password in SALLYPORT_MIRROR_PASSWORD',
] as const;
const data = ['-d, --data <folder>', 'data folder of the gateway', './data'] as const;

/** The commands of `sallyport log`. */
export function addLog(log: Command, done: Done, out: Out): void {
  addReading(log, done, out);
  addProofs(log, done, out);
  addErasure(log, done, out);
  addSecondCopy(log, done, out);
  addKey(log, done, out);
}

/** What happened, for people and programs. */
function addReading(log: Command, done: Done, out: Out): void {
  log
    .command('list')
    .description('runs in the log, newest first')
    .option(...data)
    .option(...mirror)
    .action(async ({ data: folder, ...options }: { data: string; mirror?: string }) =>
      done(await logList({ folder, ...options, out })),
    );
  log
    .command('show')
    .description('what a run did, why each call was allowed or refused, and its sub-agents')
    .argument('<run>', 'run id')
    .option(...data)
    .option(...mirror)
    .option('--json', 'as one JSON document')
    .action(
      async (run: string, { data: folder, ...options }: { data: string; mirror?: string; json?: true }) =>
        done(await logShow(run, { folder, ...options, out })),
    );
  log
    .command('query')
    .description(
      'requests that fit a filter, newest first; such as: agent=ops-desk decision=forbid since=2026-03-01',
    )
    .argument('[filter...]', 'field=value; a comma means or, != means not')
    .option(...data)
    .option(...mirror)
    .option('--limit <n>', 'most lines', '100')
    .option('--json', 'a JSON document for each')
    .action(async (filter: string[], { data: folder, ...options }: QueryFlags) =>
      done(await logQuery(filter.join(' '), { folder, ...options, out })),
    );
  log
    .command('follow')
    .description('records as they are written')
    .argument('[filter...]', 'as for query')
    .option(...data)
    .option(...mirror)
    .option('--remote', 'as they reach the second copy that --config names, checked as they come')
    .option('-c, --config <file>', 'with --remote: a configuration with log.remote')
    .option('--origin <name...>', 'with --remote: names of logs; else that of the configuration', [])
    .option('--json', 'a JSON document for each')
    .action(async (filter: string[], { data: folder, remote, config, origin, ...options }: FollowFlags) => {
      const stop = new AbortController();
      void signalled().then(() => stop.abort());
      const { signal } = stop;
      const text = filter.join(' ');
      if (remote === true)
        done(await logFollowRemote(text, { config, origins: origin, ...options, out, signal }));
      else done(await logFollow(text, { folder, ...options, out, signal }));
    });
  log
    .command('diff')
    .description('where two runs differ, call by call')
    .argument('<run1>', 'run id')
    .argument('<run2>', 'run id')
    .option(...data)
    .action(async (left: string, right: string, { data: folder }: { data: string }) =>
      done(logDiff(left, right, { data: folder, out })),
    );
}

/** That it happened so, and nothing else. */
function addProofs(log: Command, done: Done, out: Out): void {
  log
    .command('verify')
    .description(
      'prove that nothing in the log, or in an evidence bundle, was edited, dropped, moved or cut off',
    )
    .argument('[bundle]', 'evidence bundle; needs no log')
    .option(...data)
    .option('--key <vkey>', 'public key of the log from a place you trust; else the one in the data folder')
    .option('--checkpoint <file>', 'a checkpoint you kept from earlier, which the log must still contain')
    .option('--policy <file>', 'tlog-policy: which log to believe, which witnesses must have seen it')
    .action(async (bundle: string | undefined, { data: folder, ...known }: VerifyFlags) =>
      done(
        bundle === undefined
          ? await logVerify({ folder, out, ...known })
          : logVerifyBundle(bundle, { out, ...known }),
      ),
    );
  log
    .command('reconcile')
    .description('find calls that upstreams accepted a credential for and that the log no longer tells of')
    .argument('<ledger...>', 'what upstreams wrote down: one JSON object a line, with jti and intent')
    .option(...data)
    .action(async (ledgers: string[], options: { data: string }) =>
      done(logReconcile(ledgers, { folder: options.data, out })),
    );
  log
    .command('prove')
    .description('a proof that the records of a call are in the signed log, for someone who has only its key')
    .argument('[call]', 'call id or run id')
    .option(...data)
    .option('--out <folder>', 'where to put a record and a .tlog-proof for each', '.')
    .option('--receipt <file>', 'what an agent or an upstream holds of a call; proves the records it names')
    .action(async (id: string | undefined, options: { data: string; out: string; receipt?: string }) => {
      const where = { folder: options.data, to: options.out, out };
      if (options.receipt !== undefined) return done(logProveReceipt(options.receipt, where));
      if (id !== undefined) return done(logProve(id, where));
      throw new SallyportError('ERR_CONFIG_INVALID', 'name a call or run, or a file with --receipt');
    });
  log
    .command('verify-receipt')
    .description('check what you hold of a call against its proofs and a policy; needs no log and no network')
    .argument('<receipt>', 'file with a result and its receipt, or with the line of a ledger')
    .requiredOption('--policy <file>', 'tlog-policy: which log to believe, which witnesses must have seen it')
    .option('--proofs <folder>', 'where "log prove --receipt" put the proofs', '.')
    .action(async (receipt: string, flags: { policy: string; proofs: string }) =>
      done(logVerifyReceipt({ receipt, ...flags, out })),
    );
  log
    .command('check-proof')
    .description('check a record against its .tlog-proof and a policy; needs no log and no network')
    .argument('<record>', 'file with the record')
    .argument('<proof>', 'its .tlog-proof')
    .requiredOption('--policy <file>', 'tlog-policy: which log to believe, which witnesses must have seen it')
    .action(async (record: string, proof: string, { policy }: { policy: string }) =>
      done(logCheckProof({ record, proof, policy, out })),
    );
  log
    .command('export')
    .description(
      'one file with all evidence about a run and its delegation tree, to be verified by a stranger',
    )
    .argument('<run>', 'run id')
    .requiredOption('--bundle <file>', 'where to')
    .option('--content', 'disclose arguments and results that were kept')
    .option(...data)
    .action(async (run: string, { data: folder, ...options }: ExportBundleFlags) =>
      done(logExport(run, { folder, ...options, out })),
    );
}

function addErasure(log: Command, done: Done, out: Out): void {
  const config = ['-c, --config <file>', 'configuration file of the gateway, which may be running'] as const;
  log
    .command('erase')
    .description('destroy what is kept of a run; its records stay and stay verifiable')
    .argument('<run>', 'run id')
    .requiredOption(...config)
    .requiredOption('--reason <text>', 'why, and on what ground; kept in the log')
    .option('--tree', 'every run of its delegation tree')
    .action(async (run: string, flags: EraseFlags) => done(await logErase(run, { ...flags, out })));
  log
    .command('prune')
    .description('destroy what is kept of all runs that are over and kept nothing since a date')
    .requiredOption(...config)
    .requiredOption('--before <date>', 'such as 2026-01-31')
    .option('--reason <text>', 'why; kept in the log', 'retention')
    .action(async (flags: { config: string; before: string; reason: string }) =>
      done(await logPrune({ ...flags, out })),
    );
}

/** The copy on another host; see docs/operate-log.md. */
function addSecondCopy(log: Command, done: Done, out: Out): void {
  const config = ['-c, --config <file>', 'configuration file of the gateway, which must be stopped'] as const;
  log
    .command('copy')
    .description('fill an empty second copy from the data folder')
    .requiredOption(...config)
    .action(async (flags: { config: string }) => done(await logCopy({ ...flags, out })));
  log
    .command('restore')
    .description('put a lost or shortened log together again from its second copy, and prove it')
    .requiredOption('--from-remote', 'from log.remote of the configuration')
    .requiredOption(...config)
    .requiredOption('--checkpoint <file>', 'the newest checkpoint that a witness has, or you have kept')
    .option('--key <vkey>', 'public key of the log, as it was handed out')
    .option('--policy <file>', 'tlog-policy: which log to believe, which witnesses must have seen it')
    .action(async (flags: RestoreFlags) => done(await logRestore({ ...flags, out })));
}

function addKey(log: Command, done: Done, out: Out): void {
  log
    .command('rotate-key')
    .description('let a new key sign the log; who has only the old one can verify all the same')
    .requiredOption('-c, --config <file>', 'configuration file of the gateway, which may be running')
    .requiredOption('--reason <text>', 'why; kept in the log')
    .option('--overlap <hours>', 'for how long the old key signs beside the new one', '24')
    .action(async (flags: RotateLogKeyFlags) => done(await logRotateKey({ ...flags, out })));
  log
    .command('begin')
    .description('begin a new log in place of one whose key is lost or in foreign hands')
    .requiredOption('-c, --config <file>', 'configuration with a new data folder and a higher log.generation')
    .requiredOption(
      '--previous <file>',
      'newest checkpoint of the old log to be believed: that of the witness',
    )
    .requiredOption('--reason <text>', 'why; kept in the log')
    .action(async (flags: NewLogFlags) => done(await logBegin({ ...flags, out })));
}
type FollowFlags = {
  data: string;
  mirror?: string;
  remote?: true;
  config?: string;
  origin: string[];
  json?: true;
};

type ExportBundleFlags = { data: string; bundle: string; content?: true };

type QueryFlags = { data: string; mirror?: string; limit: string; json?: true };

type VerifyFlags = { data: string; key?: string; checkpoint?: string; policy?: string };
