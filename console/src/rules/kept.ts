// A draft outlives a reload of its tab. It holds no pixels; it is of one account, and goes with the end of its session, or a change of
// its rights.
import { fromJson, toJson, type JsonValue } from '@bufbuild/protobuf';
import { CameraRulesSchema } from '../gen/xueliang/v1/rule_pb';
import type { Kept } from './editor';

/** A draft of an account as it is written down. */
export function written(kept: Kept, account: string): string {
  return JSON.stringify({
    account, base: toJson(CameraRulesSchema, kept.base), draft: toJson(CameraRulesSchema, kept.draft), revision: String(kept.revision),
  });
}

/** The same read again; `undefined`: it is another account's, or of another version of the page. */
export function read(text: string | null, account: string | undefined): Kept | undefined {
  if (text === null) return undefined;
  try {
    const kept = JSON.parse(text) as Record<string, JsonValue | undefined>;
    if (account === undefined || kept['account'] !== account) return undefined;
    return {
      base: fromJson(CameraRulesSchema, kept['base'] ?? null),
      draft: fromJson(CameraRulesSchema, kept['draft'] ?? null),
      revision: BigInt(typeof kept['revision'] === 'string' ? kept['revision'] : ''),
    };
  } catch {
    return undefined;
  }
}
