// Why something failed, in the language of the page.
import { Code, ConnectError } from '@connectrpc/connect';
import { i18n, language } from './i18n/i18n';

/** Codes with a sentence of their own; the others say that it was not done. */
const SENTENCES: Partial<Record<Code, string>> = {
  [Code.InvalidArgument]: 'invalid',
  [Code.OutOfRange]: 'invalid',
  [Code.NotFound]: 'notFound',
  [Code.AlreadyExists]: 'exists',
  [Code.PermissionDenied]: 'denied',
  [Code.Unauthenticated]: 'signedOut',
  [Code.FailedPrecondition]: 'notNow',
  [Code.Aborted]: 'changed',
  [Code.ResourceExhausted]: 'later',
  [Code.Unavailable]: 'away',
  [Code.DeadlineExceeded]: 'slow',
  [Code.Canceled]: 'canceled',
  [Code.Unimplemented]: 'unknown',
  [Code.Internal]: 'broken',
  [Code.DataLoss]: 'broken',
};

/**
 * A failure in words. The service says why in English: in Chinese a sentence says what kind of failure it is, and the service's
 * own words stand behind it, marked as such. What the page itself says of a failure is in its language already.
 */
export function reasonOf(error: unknown): string {
  const failed = ConnectError.from(error);
  if (language() !== 'zh' || !(error instanceof ConnectError)) return failed.rawMessage;
  const sentence = i18n.global.t(`fault.${SENTENCES[failed.code] ?? 'failed'}`);
  return failed.rawMessage === '' ? sentence : i18n.global.t('fault.with', { sentence, words: failed.rawMessage });
}
