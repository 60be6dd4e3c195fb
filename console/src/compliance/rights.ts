// Who has something to see of what compliance asks for. The service decides: what is offered here in vain it refuses.
import type { Needs, Right } from '../session/session';

export const PARTS = ['retention', 'holds', 'points', 'filings'] as const;
export type Part = (typeof PARTS)[number];

/** What each part of the page needs: whoever may set holds sets them, also without seeing those of others. */
export const NEEDS: Record<Part, Needs> = {
  retention: 'ReadRegister',
  holds: ['ReadRegister', 'HoldEvidence'],
  points: 'ReadCompliance',
  filings: 'ReadCompliance',
};

/** Who has a part in any of it. */
export const READS_COMPLIANCE: readonly Right[] = ['ReadRegister', 'HoldEvidence', 'ReadCompliance'];
