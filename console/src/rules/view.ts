// What is chosen on the page of zones and rules, and what is pointed at: picture and lists show the same.
import { ref, shallowRef } from 'vue';
import type { CameraRule } from '../gen/xueliang/v1/rule_pb';
import { BEGIN, type Drawing } from './drawing';

export class View {
  /** The zone that is chosen; empty: none. */
  readonly zone = ref('');
  /** Its corner; -1: none. */
  readonly corner = ref(-1);
  /** The rule that is open; empty: none. */
  readonly rule = ref('');
  /** A zone that is pointed at. */
  readonly lit = ref('');
  /** A zone that is drawn. */
  readonly drawing = shallowRef<Drawing>();
  /** The zone of the rule that is open. */
  #ofRule: string | undefined;

  /** A zone, as it is chosen on the picture; a rule of it stays open. */
  chooseZone(id: string, corner = -1): void {
    if (id !== this.#ofRule) this.chooseRule(undefined);
    this.zone.value = id;
    this.corner.value = corner;
  }

  /** A zone, as it is opened in its list. */
  openZone(id: string): void {
    this.chooseRule(undefined);
    this.chooseZone(id);
  }

  /** A rule, and the zone that it watches. */
  chooseRule(rule: CameraRule | undefined): void {
    this.rule.value = rule?.ruleId ?? '';
    this.#ofRule = rule?.zoneId;
    if (rule) this.chooseZone(rule.zoneId);
  }

  /** Whether a zone is opened in its list: beside a rule that is open it would push that away. */
  isOpen(zoneId: string): boolean {
    return this.zone.value === zoneId && this.rule.value === '';
  }

  chooseCorner(corner: number): void {
    this.corner.value = corner;
  }

  /** A zone is pointed at, or none. */
  light(id: string): void {
    this.lit.value = id;
  }

  draw(): void {
    this.drawing.value = BEGIN;
    this.chooseZone('');
  }

  /** What is drawn is so far; `undefined`: nothing is drawn any more. */
  drawn(drawing: Drawing | undefined): void {
    this.drawing.value = drawing;
  }

  /** One thing less is chosen; whether one was. */
  back(): boolean {
    if (this.drawing.value) this.drawing.value = undefined;
    else if (this.corner.value >= 0) this.corner.value = -1;
    else if (this.zone.value !== '' || this.rule.value !== '') this.openZone('');
    else return false;
    return true;
  }
}
