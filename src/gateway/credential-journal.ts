import type { CredentialJournal } from '../identity/index.ts';
import type { IntentLog } from '../intent-log/index.ts';
import { toEntry } from './call/index.ts';

/** Writes down in the log which credentials that outlive a call a run was given, and what became of them. */
export function createCredentialJournal(intentLog: IntentLog): CredentialJournal {
  return {
    async issued(run, upstream, credential) {
      await intentLog.append({ type: 'credential.issued', run, upstream, credential: toEntry(credential) });
    },
    async revoked(run, upstream, credential, failure) {
      await intentLog.append({
        type: 'credential.revoked',
        run,
        upstream,
        credential: toEntry(credential),
        ...(failure === undefined ? {} : { failure }),
      });
    },
  };
}
