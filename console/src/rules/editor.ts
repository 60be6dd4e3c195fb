// The draft of a camera's zones and rules: made of what is in force, tried, and put in force. What is in force the service says, and
// whether a draft may be.
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { computed, ref, shallowRef, watch } from 'vue';
import {
  CameraRulesSchema, type CameraRule, type CameraRules, type GetCameraRulesResponse, type PutCameraRulesResponse, type RuleKind,
  type TryCameraRulesResponse, type Zone,
} from '../gen/xueliang/v1/rule_pb';
import { clashes, differences, upon } from './differences';
import { filled } from './draft';
import { checked, told, type Fault } from './faults';
import { Undo } from './undo';

/** The calls that it needs. */
export interface Calls {
  get(): Promise<GetCameraRulesResponse>;
  try(rules: CameraRules): Promise<TryCameraRulesResponse>;
  /** `undefined`: what the file says. */
  put(rules: CameraRules | undefined, revision: bigint, reason: string): Promise<PutCameraRulesResponse>;
}

/** A draft that outlives a reload, and what it was made of. */
export interface Kept {
  base: CameraRules;
  draft: CameraRules;
  revision: bigint;
}
export interface Keeping {
  get(): Kept | undefined;
  set(kept: Kept | undefined): void;
}

/** What was tried, and what came of it. */
export interface Trial {
  of: CameraRules;
  answer: TryCameraRulesResponse;
  atMs: number;
}

/** What came of putting something in force; what failed otherwise is thrown. */
export type Outcome = 'done' | 'faults' | 'clash';

const NOTHING = create(CameraRulesSchema);

export class Editor {
  readonly told = shallowRef<GetCameraRulesResponse>();
  /** Why it could not be read the last time; empty where it could. */
  readonly failure = ref('');
  /** There is no such camera, or it may not be seen. */
  readonly missing = ref(false);
  readonly undo = new Undo(NOTHING);
  /** What the draft was made of. */
  readonly base = shallowRef(NOTHING);
  readonly trial = shallowRef<Trial>();
  readonly trying = ref(false);
  readonly trialFailure = ref('');
  /** Somebody else has put others in force: `told` has them. */
  readonly clash = ref(false);
  /** What was put in force last, from here. */
  readonly live = shallowRef<PutCameraRulesResponse>();
  readonly #calls: Calls;
  readonly #keeping: Keeping;
  readonly #now: () => number;
  /** What the service found wrong, each with the zone or rule as it was then. */
  readonly #said = shallowRef<readonly { fault: Fault; of: unknown }[]>([]);
  #revision = 0n;

  readonly draft = this.undo.now;
  readonly kinds = computed((): RuleKind[] => this.told.value?.kinds ?? []);
  readonly changes = computed(() => differences(this.base.value, this.draft.value));
  readonly dirty = computed(() => this.changes.value.length > 0);
  /** A trial of another draft tells nothing of this one. */
  readonly stale = computed(() => this.trial.value !== undefined && this.trial.value.of !== this.draft.value);
  /** What the service said counts until its zone or rule is another. */
  readonly faults = computed((): Fault[] => [
    ...checked(this.draft.value, this.kinds.value),
    ...this.#said.value.filter(({ fault, of }) => of === this.#pieceOf(fault)).map(({ fault }) => fault),
  ]);
  /** Of those only what the page sees by itself: with these nothing is sent. */
  readonly refused = computed(() => checked(this.draft.value, this.kinds.value));
  /** What both changed, where somebody else has put others in force. */
  readonly both = computed(() => (this.clash.value ? clashes(this.base.value, this.draft.value, this.inForce.value) : []));
  readonly inForce = computed(() => {
    const rules = this.told.value?.rules;
    return rules ? filled(rules, this.kinds.value) : NOTHING;
  });

  constructor(calls: Calls, keeping: Keeping, now: () => number = () => Date.now()) {
    this.#calls = calls;
    this.#keeping = keeping;
    this.#now = now;
    // At once: whoever reloads the page does not wait for a turn of it.
    watch([this.draft, this.base], () => {
      if (this.told.value) this.#keep();
    }, { flush: 'sync' });
  }

  #keep(): void {
    this.#keeping.set(this.dirty.value ? { base: this.base.value, draft: this.draft.value, revision: this.#revision } : undefined);
  }

  #pieceOf(fault: Fault): Zone | CameraRule | CameraRules | undefined {
    const draft = this.draft.value;
    if (fault.part === 'zone') return draft.zones.find((one) => one.zoneId === fault.id);
    if (fault.part === 'rule') return draft.rules.find((one) => one.ruleId === fault.id);
    return draft;
  }

  /** Reads what is in force; a draft of before goes on. */
  async read(): Promise<void> {
    try {
      const answer = await this.#calls.get();
      const first = this.told.value === undefined;
      const kept = first ? this.#keeping.get() : undefined;
      this.told.value = answer;
      this.failure.value = '';
      this.missing.value = false;
      if (!first && this.dirty.value) {
        this.#compare();
        return;
      }
      this.#begin(kept?.base ?? this.inForce.value, kept?.revision ?? answer.configRevision);
      if (!kept) return;
      this.undo.put(kept.draft);
      this.#compare();
    } catch (error) {
      const failed = ConnectError.from(error);
      this.failure.value = failed.rawMessage;
      this.missing.value = failed.code === Code.NotFound;
      if (this.missing.value) this.#keeping.set(undefined);
    }
  }

  #begin(base: CameraRules, revision: bigint): void {
    this.#revision = revision;
    this.base.value = base;
    this.undo.begin(base);
  }

  /** Whether what is in force is still what the draft was made of; where it is, the draft is of the revision in force. */
  #compare(): void {
    this.clash.value = differences(this.base.value, this.inForce.value).length > 0;
    if (this.clash.value) return;
    this.#revision = this.told.value?.configRevision ?? this.#revision;
    this.#keep();
  }

  /** Another draft; what is done under one tag in a row is one step. */
  change(next: CameraRules, tag = ''): void {
    this.undo.put(next, tag);
  }

  /** Tries the draft on what was looked at of late. */
  async try(): Promise<void> {
    if (this.trying.value || this.refused.value.length > 0) return;
    this.trying.value = true;
    this.trialFailure.value = '';
    const of = this.draft.value;
    try {
      const answer = await this.#calls.try(of);
      this.trial.value = { of, answer, atMs: this.#now() };
      this.#said.value = [];
    } catch (error) {
      const failed = ConnectError.from(error);
      if (failed.code === Code.InvalidArgument) this.#find(failed.rawMessage);
      else this.trialFailure.value = failed.rawMessage;
    } finally {
      this.trying.value = false;
    }
  }

  /** What the service said of the whole has been read; what it said of a zone or a rule stands there. */
  heard(): void {
    this.#said.value = this.#said.value.filter(({ fault }) => fault.part !== '');
  }

  #find(message: string): void {
    this.#said.value = told(message).map((fault) => ({ fault, of: this.#pieceOf(fault) }));
  }

  /** Puts the draft in force, or what the file says. */
  async goLive(reason: string, back = false): Promise<Outcome> {
    const draft = this.draft.value;
    try {
      this.live.value = await this.#calls.put(back ? undefined : draft, this.#revision, reason);
    } catch (error) {
      const failed = ConnectError.from(error);
      if (failed.code === Code.InvalidArgument) {
        this.#find(failed.rawMessage);
        return 'faults';
      }
      if (failed.code === Code.FailedPrecondition && (await this.#isAnother())) return 'clash';
      throw error;
    }
    this.#said.value = [];
    this.clash.value = false;
    this.trial.value = undefined;
    // What was put is in force, whether or not it can be read again.
    this.#begin(draft, this.live.value.change?.configRevision ?? this.#revision);
    await this.read();
    return 'done';
  }

  /** Whether somebody else has put others in force. */
  async #isAnother(): Promise<boolean> {
    this.told.value = await this.#calls.get();
    this.clash.value = differences(this.base.value, this.inForce.value).length > 0;
    return this.clash.value;
  }

  /** What somebody else has put in force is the draft; a step back leads to one's own. */
  takeTheirs(): void {
    this.#rebase(this.inForce.value);
  }

  /** One's own changes upon what somebody else has put in force. */
  putUponTheirs(): void {
    this.#rebase(upon(this.base.value, this.draft.value, this.inForce.value));
  }

  #rebase(draft: CameraRules): void {
    this.#revision = this.told.value?.configRevision ?? this.#revision;
    this.base.value = this.inForce.value;
    this.undo.put(draft);
    this.clash.value = false;
  }

  /** Zones and rules of before are the draft. */
  load(rules: CameraRules): void {
    this.undo.put(filled(rules, this.kinds.value));
  }

  /** What is in force is the draft again. */
  drop(): void {
    this.undo.put(this.base.value);
  }
}
