import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { beforeEach, expect, test } from 'vitest';
import { Level } from '../gen/xueliang/v1/alert_pb';
import {
  GetCameraRulesResponseSchema, PutCameraRulesResponseSchema, TryCameraRulesResponseSchema, type CameraRules, type GetCameraRulesResponse,
} from '../gen/xueliang/v1/rule_pb';
import { filled, withNewZone, withoutZone, withRule } from './draft';
import { Editor, type Kept } from './editor';
import { KINDS, rules, zone } from './sample';

let inForce: CameraRules;
let revision: bigint;
let kept: Kept | undefined;
let sent: { rules: CameraRules | undefined; revision: bigint; reason: string }[];
let refusal: ConnectError | undefined;
let editor: Editor;

const answer = (): GetCameraRulesResponse =>
  create(GetCameraRulesResponseSchema, { cameraId: 'pond', rules: inForce, kinds: KINDS, configRevision: revision });
function open(): Editor {
  return new Editor(
    {
      get: () => Promise.resolve(answer()),
      try: () => (refusal ? Promise.reject(refusal) : Promise.resolve(create(TryCameraRulesResponseSchema, { looks: 7n }))),
      put: (put, of, reason) => {
        sent.push({ rules: put, revision: of, reason });
        if (refusal) return Promise.reject(refusal);
        if (put) inForce = put;
        revision += 1n;
        return Promise.resolve(create(PutCameraRulesResponseSchema, { change: { configRevision: revision } }));
      },
    },
    {
      get: () => kept,
      set: (draft) => {
        kept = draft;
      },
    },
    () => 0,
  );
}
const severe = (level: Level): CameraRules => withRule(editor.draft.value, 'water', (rule) => ({ ...rule, level }));

beforeEach(async () => {
  [inForce, revision, kept, sent, refusal] = [filled(rules(), KINDS), 5n, undefined, [], undefined];
  editor = open();
  await editor.read();
});

test('a draft is what is in force until it is changed, and survives a reload', async () => {
  expect([editor.dirty.value, kept]).toEqual([false, undefined]);
  editor.change(severe(Level.LEVEL_3));
  expect([editor.dirty.value, kept?.revision]).toEqual([true, 5n]);
  editor = open();
  await editor.read();
  expect([editor.draft.value.rules[0]?.level, editor.dirty.value, editor.clash.value]).toEqual([3, true, false]);
  editor.undo.undo();
  expect([editor.dirty.value, kept], 'a step back leads to what is in force').toEqual([false, undefined]);
});

test('what is put in force is said whole and of the revision that it was made of, and is what the next draft is made of', async () => {
  editor.change(severe(Level.LEVEL_3));
  expect(await editor.goLive('too many')).toBe('done');
  expect(sent).toMatchObject([{ revision: 5n, reason: 'too many', rules: { rules: [{ level: 3, clearUs: 8_000_000n }, {}] } }]);
  expect([editor.dirty.value, editor.undo.canUndo.value, kept]).toEqual([false, false, undefined]);
  editor.change(severe(Level.LEVEL_4));
  await editor.goLive('still');
  expect(sent[1]?.revision).toBe(6n);
});

test('back to the file sends no rules', async () => {
  await editor.goLive('as planned', true);
  expect(sent[0]?.rules).toBeUndefined();
});

test('another revision that did not change this camera is no clash', async () => {
  editor.change(severe(Level.LEVEL_3));
  revision = 9n;
  editor = open();
  await editor.read();
  await editor.goLive('too many');
  expect([editor.clash.value, sent[0]?.revision]).toEqual([false, 9n]);
});

test('who was slower keeps the draft, and puts it upon theirs or takes theirs', async () => {
  const theirs = (): void => {
    inForce = withNewZone(inForce, zone('x', 0.5, 0.5).outline).draft;
    revision += 1n;
    refusal = new ConnectError('others were set', Code.FailedPrecondition);
  };
  editor.change(severe(Level.LEVEL_3));
  theirs();
  expect(await editor.goLive('too many')).toBe('clash');
  expect([editor.clash.value, editor.draft.value.rules[0]?.level, kept !== undefined]).toEqual([true, 3, true]);
  editor.putUponTheirs();
  expect([editor.clash.value, editor.draft.value.zones.length, editor.changes.value.length]).toEqual([false, 2, 1]);
  refusal = undefined;
  await editor.goLive('too many');
  expect(sent.at(-1)?.revision).toBe(6n);
  editor.change(severe(Level.LEVEL_2));
  theirs();
  await editor.goLive('again');
  editor.takeTheirs();
  expect([editor.dirty.value, editor.draft.value.rules[0]?.level]).toEqual([false, 3]);
  editor.undo.undo();
  expect(editor.draft.value.rules[0]?.level, 'one’s own is a step back').toBe(2);
});

test('a draft of before stands beside what others have set meanwhile', async () => {
  editor.change(severe(Level.LEVEL_3));
  inForce = withNewZone(inForce, zone('x').outline).draft;
  editor = open();
  await editor.read();
  expect([editor.clash.value, editor.draft.value.rules[0]?.level]).toEqual([true, 3]);
});

test('a precondition that is no clash is a failure like any other', async () => {
  editor.change(severe(Level.LEVEL_3));
  refusal = new ConnectError('the configuration file cannot be read', Code.FailedPrecondition);
  await expect(editor.goLive('too many')).rejects.toThrow('cannot be read');
  expect([editor.clash.value, editor.dirty.value]).toEqual([false, true]);
});

test('what the service finds wrong stands at its rule until that is another', async () => {
  editor.change(severe(Level.LEVEL_3));
  refusal = new ConnectError('rule[water]: max_gap is shorter than blind_max', Code.InvalidArgument);
  expect(await editor.goLive('too many')).toBe('faults');
  expect(editor.faults.value).toMatchObject([{ part: 'rule', id: 'water', text: 'said' }]);
  editor.change(withRule(editor.draft.value, 'img_dark', (rule) => ({ ...rule, maxLuma: 30 })));
  expect(editor.faults.value.length).toBe(1);
  editor.change(severe(Level.LEVEL_4));
  expect(editor.faults.value).toEqual([]);
});

test('a trial is of its draft: another one makes it stale, a step back does not', async () => {
  await editor.try();
  expect([editor.trial.value?.answer.looks, editor.stale.value]).toEqual([7n, false]);
  editor.change(severe(Level.LEVEL_3));
  expect(editor.stale.value).toBe(true);
  editor.undo.undo();
  expect(editor.stale.value).toBe(false);
});

test('what the page sees is wrong is not sent', async () => {
  editor.change(withoutZone(editor.draft.value, 'bank'));
  await editor.try();
  expect([editor.refused.value.length, editor.trial.value]).toEqual([1, undefined]);
});

test('a camera that may not be seen keeps no draft', async () => {
  editor.change(severe(Level.LEVEL_3));
  const gone = new Editor({ get: () => Promise.reject(new ConnectError('no', Code.NotFound)), try: () => Promise.reject(new Error()), put: () => Promise.reject(new Error()) }, { get: () => kept, set: (one) => (kept = one) });
  await gone.read();
  expect([gone.missing.value, kept]).toEqual([true, undefined]);
});
