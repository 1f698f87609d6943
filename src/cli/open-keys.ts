import type { Logger } from 'pino';
import { SallyportError, systemClock } from '../base/index.ts';
import { type Config, publicUrlOf } from '../gateway/index.ts';
import {
  createKeySealer,
  type KeyRing,
  type KeySealer,
  noticeKeyOf,
  openSharedKeys,
  openSigningKeys,
  type SealingKey,
  type SharedKeys,
} from '../identity/index.ts';
import { openNoticeFile } from '../storage/index.ts';

/** The signing keys of a gateway, what seals them, and the same keys as other gateways share them if they do. */
export type OpenKeys = {
  readonly keys: KeyRing;
  readonly sealer: KeySealer | undefined;
  readonly shared: SharedKeys | undefined;
};

/** Gateways on one Redis tell each other their keys if they have a key that Redis does not: the one that seals. */
export async function openKeys(
  config: Config,
  { sealingKey, log }: { readonly sealingKey: SealingKey | undefined; readonly log: Logger },
): Promise<OpenKeys> {
  const sealer = sealingKey === undefined ? undefined : createKeySealer(sealingKey);
  const ring = await openSigningKeys({ folder: config.data, now: systemClock, sealer });
  if (config.state.kind === 'embedded') return { keys: ring, sealer, shared: undefined };
  if (sealingKey === undefined) {
    log.warn(
      'keys are not shared with other gateways: configure keys.encryption or keys.kms, the same at each',
    );
    return { keys: ring, sealer, shared: undefined };
  }
  const shared = await openSharedKeys({
    ring,
    issuer: publicUrlOf(config),
    gateway: config.state.gateway,
    noticeKey: noticeKeyOf(sealingKey),
    shelf: openNoticeFile(config.data),
    now: systemClock,
    complain: (gateway, why) =>
      log.error(
        { gateway, why },
        'keys that a gateway is said to have are ignored: somebody else may have written them',
      ),
  }).catch((cause: unknown) => {
    if (!(cause instanceof TypeError)) throw cause;
    const file = `${config.data}/key-notices.json`;
    throw new SallyportError('ERR_DATA_FOLDER', `${file} is damaged; restore it from a backup`, { cause });
  });
  return { keys: shared, sealer, shared };
}
