// What is asked of the register: as it stands in the address of the page, and as the service is asked.
import { create } from '@bufbuild/protobuf';
import type { LocationQuery } from 'vue-router';
import { EvidenceKind } from '../gen/xueliang/v1/alert_pb';
import { CallReason, RegisterFilterSchema, type RegisterFilter } from '../gen/xueliang/v1/evidence_pb';

/** What is chosen; nothing chosen in a field: all. */
export interface Choice {
  /** Calls at this time or later, milliseconds. */
  fromMs: number | undefined;
  /** Calls before this time, milliseconds. */
  toMs: number | undefined;
  account: string;
  unit: string;
  camera: string;
  alert: string;
  reason: CallReason | undefined;
  kind: EvidenceKind | undefined;
  refused: boolean;
  /** Its number, as it was written. */
  release: string;
  /** Its number, as it was written. */
  request: string;
}

export const ALL: Choice = {
  fromMs: undefined, toMs: undefined, account: '', unit: '', camera: '', alert: '', reason: undefined, kind: undefined, refused: false,
  release: '', request: '',
};

/** The service takes no longer text. */
export const MAX_TEXT = 200;

function digits(value: string, longest: number): string {
  return /^\d+$/.test(value) && value.length <= longest && !/^0+$/.test(value) ? value : '';
}

function number<T extends number>(value: string, most: T): T | undefined {
  const read = Number(digits(value, 5));
  return read > 0 && read <= most ? (read as T) : undefined;
}

/** Fields that should hold a number and hold none: such a choice cannot be asked for. */
export function faultsOf(choice: Choice): ('release' | 'request')[] {
  return (['release', 'request'] as const).filter((name) => choice[name] !== '' && digits(choice[name], 18) === '');
}

/** As the address says; what it says wrongly is left out, but for numbers: `faultsOf` tells of these. */
export function choiceOf(query: LocationQuery): Choice {
  const text = (name: string): string => {
    const value = query[name];
    return typeof value === 'string' ? Array.from(value.trim()).slice(0, MAX_TEXT).join('') : '';
  };
  const time = (name: string): number | undefined => Number(digits(text(name), 15)) || undefined;
  return {
    fromMs: time('from'),
    toMs: time('to'),
    account: text('account'),
    unit: text('unit'),
    camera: text('camera'),
    alert: text('alert'),
    reason: number<CallReason>(text('reason'), CallReason.OTHER),
    kind: number<EvidenceKind>(text('kind'), EvidenceKind.LIVE),
    refused: text('refused') === '1',
    release: text('release'),
    request: text('request'),
  };
}

/** What the address says of a choice; what is not chosen does not stand there. */
export function queryOf(choice: Partial<Choice>): Record<string, string> {
  const said: Record<string, string | undefined> = {
    from: choice.fromMs?.toString(),
    to: choice.toMs?.toString(),
    account: choice.account,
    unit: choice.unit,
    camera: choice.camera,
    alert: choice.alert,
    reason: choice.reason?.toString(),
    kind: choice.kind?.toString(),
    refused: choice.refused ? '1' : '',
    release: choice.release,
    request: choice.request,
  };
  return Object.fromEntries(Object.entries(said).filter((one): one is [string, string] => !!one[1]));
}

/** What the service is asked for. */
export function filterOf(choice: Choice): RegisterFilter {
  return create(RegisterFilterSchema, {
    fromUnixUs: BigInt(choice.fromMs ?? 0) * 1000n,
    toUnixUs: BigInt(choice.toMs ?? 0) * 1000n,
    account: choice.account,
    unit: choice.unit,
    cameraId: choice.camera,
    alertId: choice.alert,
    callReason: choice.reason ?? CallReason.UNSPECIFIED,
    kind: choice.kind ?? EvidenceKind.UNSPECIFIED,
    refusedOnly: choice.refused,
    releaseId: BigInt(digits(choice.release, 18) || 0),
    requestId: BigInt(digits(choice.request, 18) || 0),
  });
}
