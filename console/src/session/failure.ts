// Why something about signing in failed, in the language that is shown.
import { Code, ConnectError } from '@connectrpc/connect';

/** When the service says that the same may be tried again. */
const PUSHBACK = 'grpc-retry-pushback-ms';

/** What to say: a text by its key, with what the service said where it knows more than the text. */
export interface Failure {
  text: 'refused' | 'wait' | 'away' | 'other';
  reason: string;
  /** What failed, to be told in the language of the page. */
  error: unknown;
  /** No sooner than in so many milliseconds is it tried again; 0: at any time. */
  waitMs: number;
}

/** Reads what the service said of a call that failed. */
export function failureOf(error: unknown): Failure {
  const failure = ConnectError.from(error);
  const reason = failure.rawMessage;
  const waitMs = Number(failure.metadata.get(PUSHBACK) ?? 0);
  if (failure.code === Code.ResourceExhausted && waitMs > 0) return { text: 'wait', reason, error, waitMs };
  if (failure.code === Code.Unauthenticated) return { text: 'refused', reason, error, waitMs: 0 };
  // Without an answer there is nothing that the service said.
  const unanswered = [Code.Unavailable, Code.DeadlineExceeded, Code.Unknown].includes(failure.code);
  return { text: unanswered ? 'away' : 'other', reason, error, waitMs: 0 };
}
