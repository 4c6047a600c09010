//! The configuration language as its users meet it.

#[cfg(test)]
mod environment;
#[cfg(test)]
mod equivalence;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod guards;
#[cfg(test)]
mod limit_mistakes;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod practices;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod robustness;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod support;
