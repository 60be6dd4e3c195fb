//! `xueliang kinds`: every kind of hazard, and whether the loaded models can serve it.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use xueliang_base::{detection::Meaning, id::ModelName};
use xueliang_inference::capability;

use super::{
    check::{load_models, sees},
    print,
    run::read_config,
};

/// Arguments of `kinds`.
#[derive(Debug, Args)]
pub struct KindsArgs {
    /// Judge by the models of this configuration; without it, by no model at all.
    #[arg(long, short)]
    config: Option<PathBuf>,
    /// As the Markdown of `docs/capability.md`.
    #[arg(long)]
    markdown: bool,
}

/// Prints the table.
pub fn run(args: &KindsArgs) -> anyhow::Result<ExitCode> {
    let models = match &args.config {
        Some(path) => {
            let (models, faults) = load_models(&read_config(path)?);
            if let Some((path, message)) = faults.first() {
                anyhow::bail!("{path}: {message}");
            }
            sees(&models)
        }
        None => Vec::new(),
    };
    if args.markdown {
        print(markdown(&models))?;
        return Ok(ExitCode::SUCCESS);
    }
    print(format_args!(
        "{:<6}  {:<21}  {:<6}  {:<5}  {:<13}  name; what it takes\n",
        "number", "code", "class", "level", "available"
    ))?;
    for row in capability::table(&models) {
        let kind = row.kind;
        let class = format!("{:?}", kind.class()).to_lowercase();
        print(format_args!(
            "{:<6}  {:<21}  {class:<6}  {:<5}  {:<13}  {} {}; {}\n",
            kind.number(),
            kind.code(),
            kind.default_level().to_string(),
            row.state.word(),
            kind.zh(),
            kind.en(),
            row.how
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `docs/capability.md` for these models.
fn markdown(models: &[(ModelName, Vec<Meaning>)]) -> String {
    let mut text = String::from(
        "# What is available\n\n\
         Generated from the rules of this version and the model that ships; a test holds it to them (`make capability`\n\
         writes it). *Shipped* works after installation; *bring a model* needs a model folder that sees what is named; *not\n\
         available* has no rule yet. `xueliang kinds --config FILE` says the same for the models of a configuration, and\n\
         `xueliang check` refuses rules that they cannot serve.\n\n\
         Figures of the default model, as measured on `vtest.avi` (persons, overlap one half) on one thread of a 2-core AMD\n\
         EPYC: AP50 .890, persons at half the size .746, 19.1 ms a look. `docs/models.md` has the conditions, the other\n\
         candidates, and what none of them can do: cars from straight above, someone lying down, a bag left alone. The\n\
         fire classifier that users may bring sees a burning house in 30 of 30 pictures at a threshold of .9 and passes .5\n\
         on a brick wall in 95 %: give fire rules a high `min_score`, and dwell.\n\n\
         Rules about the camera itself and left objects were tested on simulated faults over real footage, not on a\n\
         labelled collection; their rates of false alarms in the field are not known.\n\n\
         | number | kind | name | class | level | available | what it takes |\n|---|---|---|---|---|---|---|\n",
    );
    for row in capability::table(models) {
        let kind = row.kind;
        text.push_str(&format!(
            "| {} | `{}` | {} {} | {} | {} | {} | {} |\n",
            kind.number(),
            kind.code(),
            kind.zh(),
            kind.en(),
            format!("{:?}", kind.class()).to_lowercase(),
            kind.default_level(),
            row.state.word(),
            row.how
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use xueliang_inference::model::Model;

    #[test]
    fn the_capability_table_is_what_rules_and_default_model_say() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let model = Model::load(&root.join("models/centernet-mobilenetv3")).unwrap();
        let made = super::markdown(&[(model.name().clone(), model.meanings())]);
        let path = root.join("docs/capability.md");
        if std::env::var_os("XUELIANG_REGENERATE").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == made,
            "docs/capability.md is out of date: run `make capability` and commit the result"
        );
    }
}
