//! Nodes that answer, refuse, are away, go, or say nothing.

use futures::StreamExt as _;
use xueliang_base::error::ErrorKind;

use super::*;

const ALL: Takes = Takes { explains: true, connects: true, pictures: true, trials: true };

fn request() -> v1::ExplainRequest {
    v1::ExplainRequest { camera_id: "gate".into(), from_unix_us: 1, to_unix_us: 2 }
}
fn answer(question_id: u64) -> v1::AnswerExplainRequest {
    let camera = v1::ExplainedCamera { camera_id: "gate".into(), ..v1::ExplainedCamera::default() };
    v1::AnswerExplainRequest { question_id, camera: Some(camera), ..v1::AnswerExplainRequest::default() }
}

#[tokio::test]
async fn a_question_goes_down_the_stream_and_its_answer_to_whoever_asked() {
    let explainer = Arc::new(Explainer::new());
    let mut questions = explainer.attach("node-1", ALL);
    let asking = explainer.ask("node-1", request());
    let answering = async {
        let question = questions.next().await.unwrap().explain.unwrap();
        assert_eq!(question.request, Some(request()));
        // Another node cannot answer for it.
        explainer.answer("node-2", v1::AnswerExplainRequest { camera: None, ..answer(question.question_id) });
        explainer.answer("node-1", answer(question.question_id));
    };
    let (asked, ()) = tokio::join!(asking, answering);
    assert_eq!(asked.unwrap().camera_id, "gate");
    assert!(explainer.state().open.is_empty());
}

#[tokio::test]
async fn a_refusal_keeps_its_reason() {
    let explainer = Arc::new(Explainer::new());
    let mut questions = explainer.attach("node-1", ALL);
    for (refusal, kind) in [
        (ExplainRefusal::UnknownCamera, ErrorKind::NotFound),
        (ExplainRefusal::Invalid, ErrorKind::InvalidInput),
        (ExplainRefusal::Outside, ErrorKind::Conflict),
        (ExplainRefusal::Busy, ErrorKind::Exhausted),
        (ExplainRefusal::Unspecified, ErrorKind::Internal),
    ] {
        let answering = async {
            let question = questions.next().await.unwrap().explain.unwrap();
            let message = "the logbook begins later".to_owned();
            let refused = v1::AnswerExplainRequest {
                refusal: refusal.into(),
                camera: None,
                message,
                ..answer(question.question_id)
            };
            explainer.answer("node-1", refused);
        };
        let (asked, ()) = tokio::join!(explainer.ask("node-1", request()), answering);
        assert_eq!(asked.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn a_node_that_is_away_goes_or_says_nothing_keeps_nobody_waiting() {
    let explainer = Arc::new(Explainer::waiting(Duration::from_millis(50)));
    let away = explainer.ask("node-1", request()).await.unwrap_err();
    assert!(away.kind() == ErrorKind::Unavailable && away.to_string().contains("node-1 is away"), "{away}");
    // It goes while it is asked; a newer stream of its own stays.
    let mut questions = explainer.attach("node-1", ALL);
    let newer = async {
        let _asked = questions.next().await.unwrap();
        let newer = explainer.attach("node-1", ALL);
        drop(questions);
        newer
    };
    let (gone, newer) = tokio::join!(explainer.ask("node-1", request()), newer);
    assert!(gone.unwrap_err().to_string().contains("is away"));
    // It hangs.
    let hung = explainer.ask("node-1", request()).await.unwrap_err();
    assert!(hung.to_string().contains("did not answer within"), "{hung}");
    assert!(explainer.state().open.is_empty());
    drop(newer);
    assert!(explainer.state().nodes.is_empty());
}

#[tokio::test]
async fn few_questions_are_under_way_at_once() {
    let explainer = Arc::new(Explainer::new());
    let mut questions = explainer.attach("node-1", ALL);
    let ask = || {
        let explainer = Arc::clone(&explainer);
        tokio::spawn(async move { explainer.ask("node-1", request()).await })
    };
    let asking: Vec<_> = (0..UNDER_WAY).map(|_| ask()).collect();
    let mut asked = Vec::new();
    for _ in 0..UNDER_WAY {
        asked.push(questions.next().await.unwrap().explain.unwrap().question_id);
    }
    let refused = explainer.ask("node-1", request()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Exhausted);
    for question in asked {
        explainer.answer("node-1", answer(question));
    }
    for one in asking {
        one.await.unwrap().unwrap();
    }
    // There is room again; who no longer waits leaves nothing behind.
    let gone = ask();
    questions.next().await.unwrap();
    gone.abort();
    drop(gone.await);
    assert!(explainer.state().open.is_empty());
}

#[tokio::test]
async fn a_picture_goes_to_whoever_asked_for_it_and_to_nobody_who_asked_for_something_else() {
    let explainer = Arc::new(Explainer::new());
    let asked = || v1::PictureQuestion { camera_id: "gate".into(), ..v1::PictureQuestion::default() };
    let no = |answer: Result<_, NoPicture>| answer.unwrap_err().refusal;
    assert_eq!(no(explainer.picture("node-1", asked()).await), PictureRefusal::Away);
    // A node of an earlier version is never asked.
    let older = explainer.attach("node-1", Takes { pictures: false, ..ALL });
    assert_eq!(no(explainer.picture("node-1", asked()).await), PictureRefusal::Away);
    drop(older);
    let mut questions = explainer.attach("node-1", ALL);
    for refusal in [PictureRefusal::Unspecified, PictureRefusal::NotRedacted] {
        let answering = async {
            let question = questions.next().await.unwrap().picture.unwrap();
            assert_eq!(question.camera_id, "gate");
            let answer = v1::AnswerPictureRequest {
                question_id: question.question_id,
                jpeg: "jpeg".into(),
                refusal: refusal.into(),
                ..v1::AnswerPictureRequest::default()
            };
            explainer.answer_picture("node-2", answer.clone());
            explainer.answer("node-1", self::answer(question.question_id));
            explainer.answer_picture("node-1", answer);
        };
        match tokio::join!(explainer.picture("node-1", asked()), answering).0 {
            Ok(answer) => assert_eq!((answer.jpeg, refusal), ("jpeg".into(), PictureRefusal::Unspecified)),
            Err(none) => assert_eq!(none.refusal, refusal),
        }
    }
    assert!(explainer.state().open.is_empty());
}
