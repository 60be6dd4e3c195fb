//! What a model must not see: anything that tells one person from another, or says what kind of person someone is.
//!
//! The list is of words, not of models. It stops a model that says what it does; a model that lies about its classes
//! cannot be found out here.

/// Words that refuse a class. A name is cut at everything that is not a letter, and where capitals begin.
const WORDS: [&str; 42] = [
    "face",
    "faces",
    "facial",
    "headshot",
    "plate",
    "plates",
    "lpr",
    "anpr",
    "alpr",
    "identity",
    "id",
    "ids",
    "reid",
    "gender",
    "sex",
    "male",
    "female",
    "man",
    "men",
    "woman",
    "women",
    "boy",
    "girl",
    "child",
    "children",
    "kid",
    "baby",
    "adult",
    "elderly",
    "senior",
    "age",
    "race",
    "ethnicity",
    "skin",
    "emotion",
    "gait",
    "iris",
    "fingerprint",
    "tattoo",
    "employee",
    "suspect",
    "blacklist",
];

/// Parts that refuse a class wherever they stand, for names written together and for Chinese ones.
const PARTS: [&str; 22] = [
    "licenseplate",
    "licenceplate",
    "numberplate",
    "faceid",
    "facedet",
    "humanface",
    "personid",
    "ethnic",
    "emotion",
    "watchlist",
    "uyghur",
    "uighur",
    "人脸",
    "面部",
    "车牌",
    "身份",
    "姓名",
    "性别",
    "年龄",
    "民族",
    "种族",
    "黑名单",
];

/// Words that refuse an output of the graph, named in the manifest or not: vectors that compare persons, and points of faces.
const OUTPUT_WORDS: [&str; 14] = [
    "embedding",
    "embeddings",
    "feature",
    "features",
    "descriptor",
    "reid",
    "face",
    "faces",
    "landmark",
    "landmarks",
    "gender",
    "age",
    "identity",
    "plate",
];

/// Why a class of this name is refused.
pub(super) fn class_hint(name: &str) -> Option<String> {
    let found = words(name).into_iter().find(|word| WORDS.contains(&word.as_str())).or_else(|| {
        let joined: String = name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
        PARTS.iter().find(|part| joined.contains(**part)).map(|part| (*part).to_owned())
    })?;
    Some(format!(
        "hints at identity ({found:?}): this product flags events, never people, so no model with faces, plates, \
         persons' attributes or identities is used; choose a model without this class"
    ))
}

/// Why a model with an output of this name is refused.
pub(super) fn output_hint(name: &str) -> Option<String> {
    let found = words(name).into_iter().find(|word| OUTPUT_WORDS.contains(&word.as_str()))?;
    Some(format!(
        "hints at identity ({found:?}): vectors and points that tell one person from another are not allowed; export \
         the model without this output"
    ))
}

fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower_before = false;
    for c in name.chars() {
        let cut = !c.is_alphabetic() || (c.is_uppercase() && lower_before);
        if cut {
            words.push(String::new());
        }
        if c.is_alphabetic()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        lower_before = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hint_at_identity_are_refused_however_they_are_written() {
        for bad in [
            "face",
            "Face",
            "human_face",
            "HumanFace",
            "licence_plate",
            "License Plate",
            "licenseplate",
            "person_id",
            "personID",
            "Gender",
            "age",
            "age_20_30",
            "woman",
            "人脸",
            "车牌识别",
            "skin-tone",
            "reid",
        ] {
            assert!(class_hint(bad).is_some_and(|why| why.contains("identity")), "{bad}");
        }
    }

    #[test]
    fn ordinary_classes_pass() {
        for good in [
            "person",
            "surface",
            "template",
            "garage",
            "stage",
            "hot dog",
            "cell phone",
            "traffic light",
            "fire",
            "smoke",
            "truck",
            "manhole",
            "surfboard",
            "potted plant",
            "ignored",
            "unused 45",
            "idle",
        ] {
            assert_eq!(class_hint(good), None, "{good}");
        }
        assert!(output_hint("face_landmarks").is_some());
        assert!(output_hint("tower_0/detections").is_none());
    }
}
