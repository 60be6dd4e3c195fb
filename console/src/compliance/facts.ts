// What is filed of a point, field by field, in words.
import { PointField, type PointFacts } from '../gen/xueliang/v1/filing_pb';
import { i18n } from '../i18n/i18n';
import { word } from '../words';

const OF: [field: PointField, of: (facts: PointFacts) => string][] = [
  [PointField.CAMERA_ID, (facts) => facts.cameraId],
  [PointField.NAME, (facts) => facts.name],
  [PointField.DIVISION_PATH, (facts) => facts.divisionPath.join(' › ')],
  [PointField.ADDRESS, (facts) => facts.address],
  [PointField.POSITION, ({ position }) => (position ? `${position.longitude.toFixed(6)}, ${position.latitude.toFixed(6)}` : '')],
  [PointField.POINT_CLASS, (facts) => word('PointClass', facts.pointClass)],
  [PointField.DEVICE_CODE, (facts) => facts.deviceCode],
  [PointField.VENDOR, (facts) => number(facts.vendor)],
  [PointField.MODEL, (facts) => facts.model],
  [PointField.CAMERA_TYPE, (facts) => number(facts.cameraType)],
  [PointField.MANAGING_UNIT, (facts) => facts.managingUnit],
  [PointField.POLICE_CODE, (facts) => facts.policeCode],
  [PointField.LEGAL_BASIS, (facts) => facts.legalBasis],
  [PointField.IN_USE_SINCE, (facts) => facts.inUseSince],
  [PointField.RECORDED_DAYS, (facts) => number(facts.recordedDays)],
  [PointField.SIGN_SINCE, (facts) => facts.signSince || i18n.global.t('compliance.noSign')],
  [PointField.KEY_POINT, (facts) => i18n.global.t(facts.keyPoint ? 'compliance.yes' : 'compliance.no')],
];

function number(value: number): string {
  return value === 0 ? '' : String(value);
}

/** All fields in their order; one that says nothing has a dash. */
export function factsOf(facts: PointFacts): { field: PointField; text: string }[] {
  return OF.map(([field, of]) => ({ field, text: of(facts) || '—' }));
}
