import { mirrorStoreContract } from '../storage/contract/mirror-store.ts';
import { mirrorStoreInMemory } from '../support/mirror-store-in-memory.ts';

mirrorStoreContract('in memory, for tests', async () => mirrorStoreInMemory());
